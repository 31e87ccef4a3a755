"""What goes wrong is said in a Status: its code, its reason, and words that name what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.definitions import causes, refused
from helpers.rest import JSON, Api
from helpers.things import API_VERSION, thing, things_path

NOT_FOUND = "the server could not find the requested resource"
NOT_ALLOWED = "the server does not allow this method on the requested resource"


def config_maps(namespace: str, name: str = "") -> str:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    return f"{path}/{name}" if name else path


@pytest.mark.parametrize("path", ["/nope", "/apis/nope.example.com/v1", "/apis/nope.example.com/v1/foos"])
async def test_an_unknown_path_is_a_plain_page(api: Api, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status, answer.text) == (404, "404 page not found\n")


@pytest.mark.parametrize(
    "path",
    ["/api/v9", "/api/v1/nonsense", "/apis/apps/v9", "/api/v1/namespaces/default/configmaps/none/status"],
)
async def test_an_unknown_version_or_resource_of_a_known_group(api: Api, path: str) -> None:
    assert refused(await api.get(path), 404, "NotFound") == NOT_FOUND


async def test_an_object_that_is_not_there(api: Api, namespace: str) -> None:
    built_in = await api.get(config_maps(namespace, "none"))
    assert refused(built_in, 404, "NotFound") == 'configmaps "none" not found'
    assert built_in.json["details"] == {"name": "none", "kind": "configmaps"}
    custom = await api.get(things_path(namespace, "none"))
    assert refused(custom, 404, "NotFound") == 'things.conformance.example.com "none" not found'
    group = "conformance.example.com"
    assert custom.json["details"] == {"name": "none", "group": group, "kind": "things"}


async def test_every_verb_finds_nothing(api: Api, namespace: str) -> None:
    path = things_path(namespace, "none")
    for answer in (await api.put(path, thing("none")), await api.patch(path, {}), await api.delete(path)):
        assert refused(answer, 404, "NotFound") == 'things.conformance.example.com "none" not found'


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/namespaces/default/configmaps/x"),
        ("PUT", "/api/v1/namespaces/default/configmaps"),
        ("PATCH", "/api/v1/namespaces/default/configmaps"),
        ("POST", "/api/v1/configmaps"),
        ("DELETE", "/api/v1/configmaps"),
        ("DELETE", "/api/v1/namespaces"),
        ("POST", "/version"),
        ("POST", "/api"),
    ],
)
async def test_a_method_that_a_path_does_not_have(api: Api, method: str, path: str) -> None:
    answer = await api.request(method, path, {}, content_type=JSON)
    assert refused(answer, 405, "MethodNotAllowed") == NOT_ALLOWED


@pytest.mark.parametrize("accept", ["text/html", "application/xml"])
async def test_a_form_that_nobody_writes(api: Api, namespace: str, accept: str) -> None:
    custom = await api.get(things_path(namespace), accept=accept)
    assert refused(custom, 406, "NotAcceptable") == (
        "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )
    built_in = await api.get(config_maps(namespace, "x"), accept=accept)
    assert refused(built_in, 406, "NotAcceptable") == (
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf"
    )


async def test_the_first_form_that_is_known_counts(api: Api, namespace: str) -> None:
    answer = await api.get(config_maps(namespace), accept="text/html, application/json")
    assert answer.ok()["kind"] == "ConfigMapList"


async def test_a_body_in_an_unknown_format(api: Api, namespace: str) -> None:
    known = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    words = f"the body of the request was in an unknown format - accepted media types include: {known}"
    for path in (config_maps(namespace), things_path(namespace)):
        answer = await api.post(path, b"hello", content_type="text/plain")
        assert refused(answer, 415, "UnsupportedMediaType") == words


async def test_a_patch_in_an_unknown_format(api: Api, namespace: str) -> None:
    (await api.post(config_maps(namespace), {"metadata": {"name": "a"}})).ok()
    (await api.post(things_path(namespace), thing("t"))).ok()
    built_in = await api.patch(config_maps(namespace, "a"), {}, content_type=JSON)
    assert refused(built_in, 415, "UnsupportedMediaType") == "415: Unsupported Media Type"
    custom = await api.patch(things_path(namespace, "t"), {}, content_type=JSON)
    assert refused(custom, 415, "UnsupportedMediaType").startswith("the body of the request was in an unknown format")


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_a_body_that_is_too_large(api: Api, namespace: str) -> None:
    answer = await api.post(config_maps(namespace), b'{"a":"' + b"x" * 3_200_000 + b'"}')
    refused(answer, 413, "RequestEntityTooLarge")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "couldn't get version/kind; json parse error: unexpected end of JSON input ({)"),
        (b"", "couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"),
        (b'{"a":', 'couldn\'t get version/kind; json parse error: unexpected end of JSON input ({"a":)'),
        (b"[]", "couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct "),
        (b'"x"', "couldn't get version/kind; json parse error: json: cannot unmarshal string into Go value of type struct "),
        (b'{"kind":1}', "couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind"),
    ],
)  # fmt: skip
async def test_a_body_that_is_no_object(api: Api, namespace: str, body: bytes, why: str) -> None:
    built_in = refused(await api.post(config_maps(namespace), body), 400, "BadRequest")
    assert built_in.startswith(f"the object provided is unrecognized (must be of type ConfigMap): {why}")
    custom = refused(await api.post(things_path(namespace), body), 400, "BadRequest")
    assert custom.startswith(f"the object provided is unrecognized (must be of type Thing): {why}")


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ([], "json: cannot unmarshal array into Go struct field ConfigMap.metadata of type v1.ObjectMeta"),
        ({"name": 1}, "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string"),
        (
            {"name": "a", "labels": {"a": 1}},
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            {"name": "a", "labels": []},
            "json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
    ],
)
async def test_metadata_of_the_wrong_type(api: Api, namespace: str, metadata: Any, why: str) -> None:
    answer = await api.post(config_maps(namespace), {"metadata": metadata})
    assert refused(answer, 400, "BadRequest") == f'ConfigMap in version "v1" cannot be handled as a ConfigMap: {why}'


async def test_data_of_the_wrong_type(api: Api, namespace: str) -> None:
    answer = await api.post(config_maps(namespace), {"metadata": {"name": "a"}, "data": {"k": 1}})
    assert refused(answer, 400, "BadRequest") == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field '
        "ConfigMap.data of type string"
    )


@pytest.mark.parametrize(
    ("said", "start"),
    [
        ({"kind": "Nope"}, 'Nope in version "v1" cannot be handled as a ConfigMap: no kind "Nope" is registered'),
        (
            {"apiVersion": "v2"},
            'ConfigMap in version "v2" cannot be handled as a ConfigMap: no kind "ConfigMap" is reg',
        ),
        ({"kind": "Secret"}, 'Secret in version "v1" cannot be handled as a ConfigMap: '),
    ],
)
async def test_a_built_in_object_of_another_kind(api: Api, namespace: str, said: Any, start: str) -> None:
    answer = await api.post(config_maps(namespace), {"metadata": {"name": "a"}, **said})
    assert refused(answer, 400, "BadRequest").startswith(start)


async def test_a_built_in_object_may_leave_out_what_it_is(api: Api, namespace: str) -> None:
    made = (await api.post(config_maps(namespace), {"metadata": {"name": "a"}})).ok()
    assert (made["kind"], made["apiVersion"]) == ("ConfigMap", "v1")


async def test_a_custom_object_of_another_kind(api: Api, namespace: str) -> None:
    path = things_path(namespace)
    kind = await api.post(path, {**thing("t"), "kind": "Other"})
    assert refused(kind, 422, "Invalid") == (
        'Other.conformance.example.com "t" is invalid: kind: Invalid value: "Other": must be Thing'
    )
    assert causes(kind) == [("FieldValueInvalid", "kind", 'Invalid value: "Other": must be Thing')]
    version = await api.post(path, {**thing("t"), "apiVersion": "v1"})
    assert refused(version, 400, "BadRequest") == (
        f"the API version in the data (v1) does not match the expected API version ({API_VERSION})"
    )
    nothing = await api.post(path, {"metadata": {"name": "t"}})
    assert refused(nothing, 400, "BadRequest").startswith(
        "the object provided is unrecognized (must be of type Thing): Object 'Kind' is missing in '"
    )


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"name": "other"}, "the name of the object (other) does not match the name on the URL (t)"),
        ({}, "the name of the object (t based on URL) was undeterminable: name must be provided"),
        (
            {"name": "t", "namespace": "other"},
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
    ],
)
async def test_an_update_of_another_object(api: Api, namespace: str, metadata: Any, message: str) -> None:
    (await api.post(things_path(namespace), thing("t"))).ok()
    answer = await api.put(things_path(namespace, "t"), {**thing("t"), "metadata": metadata})
    assert refused(answer, 400, "BadRequest") == message


async def test_an_object_for_another_namespace(api: Api, namespace: str) -> None:
    answer = await api.post(config_maps(namespace), {"metadata": {"name": "a", "namespace": "other"}})
    assert refused(answer, 400, "BadRequest") == (
        "the namespace of the provided object does not match the namespace sent on the request"
    )


async def test_an_object_in_no_namespace_at_all(api: Api) -> None:
    answer = await api.post(config_maps("nowhere"), {"metadata": {"name": "a"}})
    assert refused(answer, 404, "NotFound") == 'namespaces "nowhere" not found'


@pytest.mark.parametrize(
    ("metadata", "field", "words"),
    [
        ({"name": "Bad_Name"}, "metadata.name", 'Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist'),
        ({"name": "a", "labels": {"a b": "c"}}, "metadata.labels", 'Invalid value: "a b": name part must consist of'),
        ({"name": "a", "labels": {"a": "not ok!"}}, "metadata.labels", 'Invalid value: "not ok!": a valid label must be'),
        ({"name": "a", "annotations": {"a b": "c"}}, "metadata.annotations", 'Invalid value: "a b": name part must'),
        (
            {"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "", "name": "o", "uid": "u"}]},
            "metadata.ownerReferences.kind",
            'Invalid value: "": must not be empty',
        ),
    ],
)  # fmt: skip
async def test_metadata_that_is_not_valid(api: Api, namespace: str, metadata: Any, field: str, words: str) -> None:
    for path, kind, body in (
        (config_maps(namespace), "ConfigMap", {"metadata": metadata}),
        (things_path(namespace), "Thing", {**thing("t"), "metadata": metadata}),
    ):
        answer = await api.post(path, body)
        refused(answer, 422, "Invalid")
        assert answer.json["details"]["kind"] == kind
        [(_, found, message)] = causes(answer)
        assert (found, message[: len(words)]) == (field, words)


async def test_an_object_without_a_name(api: Api, namespace: str) -> None:
    answer = await api.post(config_maps(namespace), {"metadata": {}})
    assert refused(answer, 422, "Invalid") == (
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required'
    )


async def test_a_stale_or_a_missing_version(api: Api, namespace: str) -> None:
    (await api.post(things_path(namespace), thing("t"))).ok()
    answer = await api.put(things_path(namespace, "t"), thing("t", metadata={"resourceVersion": "1"}))
    assert refused(answer, 409, "Conflict") == (
        'Operation cannot be fulfilled on things.conformance.example.com "t": the object has been modified; please apply '
        "your changes to the latest version and try again"
    )
    missing = await api.put(things_path(namespace, "t"), thing("t"))
    assert refused(missing, 422, "Invalid") == (
        'things.conformance.example.com "t" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for '
        "an update"
    )


async def test_what_exists_already(api: Api, namespace: str) -> None:
    (await api.post(things_path(namespace), thing("t"))).ok()
    answer = await api.post(things_path(namespace), thing("t"))
    assert refused(answer, 409, "AlreadyExists") == 'things.conformance.example.com "t" already exists'
    assert answer.json["details"] == {"name": "t", "group": "conformance.example.com", "kind": "things"}
