"""Lists: versions, pages, label and field selectors, and what a server says to options that contradict each other."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import orjson
import pytest
import pytest_asyncio

from helpers.compaction import forget_the_past
from helpers.rest import MERGE, Answer, Api
from helpers.things import GROUP, thing, things_path

AHEAD = 1_000_000


class Collection(NamedTuple):
    """Five config maps, c0 to c4, and the version after the creation of each."""

    path: str
    versions: tuple[int, ...]


def config_maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def names(listing: Any) -> list[str]:
    return [item["metadata"]["name"] for item in listing["items"]]


def causes(answer: Answer) -> list[tuple[str, str, str]]:
    found = answer.json["details"]["causes"]
    return [(cause["reason"], cause["field"], cause["message"]) for cause in found]


def decoded(token: str) -> dict[str, Any]:
    return dict(orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))))


def encoded(token: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(token)).decode().rstrip("=")


async def filled(api: Api, namespace: str) -> Collection:
    path = config_maps(namespace)
    versions = []
    for number in range(5):
        labels = {"n": str(number), "even": str(number % 2 == 0).lower()}
        made = await api.post(path, {"metadata": {"name": f"c{number}", "labels": labels}})
        versions.append(int(made.ok()["metadata"]["resourceVersion"]))
    return Collection(path, tuple(versions))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def five(administrator: Api) -> AsyncIterator[Collection]:
    """For cases that only read."""
    made = await administrator.post("/api/v1/namespaces", {"metadata": {"generateName": "lists-"}})
    name = made.ok()["metadata"]["name"]
    yield await filled(administrator, name)
    await administrator.delete(f"/api/v1/namespaces/{name}")


@pytest_asyncio.fixture(loop_scope="session")
async def own(api: Api, namespace: str) -> Collection:
    """For cases that change what is there."""
    return await filled(api, namespace)


class TestListing:
    async def test_names_its_kind_once_and_carries_its_version(self, api: Api, five: Collection) -> None:
        listing = (await api.get(five.path)).ok()
        assert (listing["kind"], listing["apiVersion"]) == ("ConfigMapList", "v1")
        assert names(listing) == ["c0", "c1", "c2", "c3", "c4"]
        assert int(listing["metadata"]["resourceVersion"]) >= five.versions[-1]
        assert all("kind" not in item and "apiVersion" not in item for item in listing["items"])

    async def test_of_custom_resources_names_the_kind_of_each(self, api: Api, namespace: str) -> None:
        (await api.post(things_path(namespace), thing("a"))).ok()
        listing = (await api.get(things_path(namespace))).ok()
        assert (listing["kind"], listing["metadata"]["continue"]) == ("ThingList", "")
        assert [(item["kind"], item["apiVersion"]) for item in listing["items"]] == [("Thing", f"{GROUP}/v1")]

    async def test_of_a_namespace_that_is_not_there_is_empty(self, api: Api) -> None:
        listing = (await api.get(config_maps("nowhere"))).ok()
        assert listing["items"] == []

    async def test_of_all_namespaces_is_in_the_order_of_namespaces_and_names(self, api: Api, five: Collection) -> None:
        listing = (await api.get("/api/v1/configmaps")).ok()
        keys = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in listing["items"]]
        assert keys == sorted(keys)
        assert {name for _, name in keys} >= {"c0", "c4"}

    async def test_can_be_of_metadata_alone(self, api: Api, five: Collection) -> None:
        accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        listing = (await api.get(five.path, accept=accept, fieldSelector="metadata.name=c1")).ok()
        assert (listing["kind"], listing["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
        (item,) = listing["items"]
        assert set(item) == {"kind", "apiVersion", "metadata"}
        assert (item["kind"], item["metadata"]["labels"]["n"]) == ("PartialObjectMetadata", "1")


class TestVersions:
    @pytest.mark.parametrize("match", ["", "NotOlderThan"])
    async def test_a_version_asks_for_something_not_older(self, api: Api, five: Collection, match: str) -> None:
        query = {"resourceVersion": str(five.versions[1]), **({"resourceVersionMatch": match} if match else {})}
        listing = (await api.get(five.path, **query)).ok()
        assert names(listing) == ["c0", "c1", "c2", "c3", "c4"]
        assert int(listing["metadata"]["resourceVersion"]) >= five.versions[-1]

    @pytest.mark.parametrize("match", ["", "NotOlderThan"])
    async def test_zero_asks_for_anything_and_comes_in_one_piece(self, api: Api, five: Collection, match: str) -> None:
        query = {"resourceVersion": "0", "limit": "2", **({"resourceVersionMatch": match} if match else {})}
        listing = await api.eventually(five.path, lambda answer: len(answer.ok()["items"]) == 5, **query)
        assert "continue" not in listing.json["metadata"]

    async def test_an_exact_version_shows_the_past(self, api: Api, own: Collection) -> None:
        (await api.patch(f"{own.path}/c1", {"data": {"new": "1"}})).ok()
        (await api.delete(f"{own.path}/c0")).ok()
        query = {"resourceVersion": str(own.versions[2]), "resourceVersionMatch": "Exact"}
        listing = (await api.get(own.path, **query)).ok()
        assert names(listing) == ["c0", "c1", "c2"]
        assert "data" not in listing["items"][1]
        assert listing["metadata"]["resourceVersion"] == str(own.versions[2])

    async def test_a_limit_makes_a_version_exact(self, api: Api, five: Collection) -> None:
        listing = (await api.get(five.path, resourceVersion=str(five.versions[2]), limit=10)).ok()
        assert (names(listing), listing["metadata"]["resourceVersion"]) == (["c0", "c1", "c2"], str(five.versions[2]))

    @pytest.mark.parametrize("match", ["", "Exact", "NotOlderThan"])
    async def test_a_version_from_the_future_times_out(self, api: Api, five: Collection, match: str) -> None:
        wanted = five.versions[-1] + AHEAD
        query = {"resourceVersion": str(wanted), **({"resourceVersionMatch": match} if match else {})}
        answer = await api.get(five.path, **query)
        assert (answer.status, answer.reason, answer.json["code"]) == (504, "Timeout", 504)
        assert answer.json["message"].startswith(f"Timeout: Too large resource version: {wanted}, current: ")
        assert answer.json["details"]["retryAfterSeconds"] == 1
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        assert answer.json["details"]["causes"] == [cause]

    @pytest.mark.parametrize("version", ["abc", "-1", "1.5"])
    async def test_what_is_no_version_is_refused(self, api: Api, five: Collection, version: str) -> None:
        answer = await api.get(five.path, resourceVersion=version)
        assert (answer.status, answer.reason) == (400, "BadRequest")
        why = f'Invalid value: "{version}": strconv.ParseUint: parsing "{version}": invalid syntax'
        assert answer.json["message"] == f"invalid resource version: resourceVersion: {why}"

    async def test_a_custom_resource_has_no_past_before_its_definition(self, api: Api, namespace: str) -> None:
        made = (await api.post(things_path(namespace), thing("a"))).ok()
        await forget_the_past(api.cluster, int(made["metadata"]["resourceVersion"]))
        for query in ({"resourceVersionMatch": "Exact"}, {"limit": 1}):
            answer = await api.get(things_path(namespace), resourceVersion="1", **query)
            assert (answer.status, answer.reason) == (410, "Expired")
            assert answer.json["message"] == "The resourceVersion for the provided list is too old."

    async def test_one_object_can_be_asked_for_at_a_version_too(self, api: Api, five: Collection) -> None:
        assert (await api.get(f"{five.path}/c0", resourceVersion="0")).status == 200
        ahead = await api.get(f"{five.path}/c0", resourceVersion=str(five.versions[-1] + AHEAD))
        assert (ahead.status, ahead.reason) == (504, "Timeout")


MATCH = "resourceVersionMatch"
NEEDS_VERSION = ("FieldValueForbidden", MATCH, f"Forbidden: {MATCH} is forbidden unless resourceVersion is provided")
NOT_EXACT_ZERO = ("FieldValueForbidden", MATCH, f'Forbidden: {MATCH} "exact" is forbidden for resourceVersion "0"')
NOT_WITH_TOKEN = ("FieldValueForbidden", MATCH, f"Forbidden: {MATCH} is forbidden when continue is provided")
UNKNOWN = (
    "FieldValueNotSupported",
    MATCH,
    'Unsupported value: "Sometimes": supported values: "Exact", "NotOlderThan", ""',
)
NO_INITIAL = ("FieldValueForbidden", "sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({MATCH: "Exact"}, [NEEDS_VERSION]),
        ({MATCH: "NotOlderThan"}, [NEEDS_VERSION]),
        ({MATCH: "Exact", "resourceVersion": "0"}, [NOT_EXACT_ZERO]),
        ({MATCH: "Sometimes"}, [NEEDS_VERSION, UNKNOWN]),
        ({MATCH: "Sometimes", "resourceVersion": "0"}, [UNKNOWN]),
        ({MATCH: "Sometimes", "resourceVersion": "1"}, [UNKNOWN]),
        ({MATCH: "Exact", "continue": "x"}, [NEEDS_VERSION, NOT_WITH_TOKEN]),
        ({MATCH: "NotOlderThan", "resourceVersion": "1", "continue": "x"}, [NOT_WITH_TOKEN]),
        ({"sendInitialEvents": "true"}, [NO_INITIAL]),
        ({"sendInitialEvents": "false", MATCH: "NotOlderThan"}, [NEEDS_VERSION, NO_INITIAL]),
    ],
)
async def test_options_that_contradict_each_other_are_all_told(
    api: Api, namespace: str, query: dict[str, str], expected: list[tuple[str, str, str]]
) -> None:
    answer = await api.get(config_maps(namespace), **query)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert causes(answer) == expected
    texts = [f"{field}: {message}" for _, field, message in expected]
    summary = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    assert answer.json["message"] == f'ListOptions.meta.k8s.io "" is invalid: {summary}'
    assert {key: answer.json["details"][key] for key in ("group", "kind")} == {
        "group": "meta.k8s.io",
        "kind": "ListOptions",
    }


class TestPages:
    async def test_show_one_moment_in_pieces(self, api: Api, own: Collection) -> None:
        first = (await api.get(own.path, limit=2)).ok()
        assert (names(first), first["metadata"]["remainingItemCount"]) == (["c0", "c1"], 3)
        (await api.delete(f"{own.path}/c3")).ok()
        (await api.post(own.path, {"metadata": {"name": "c9"}})).ok()
        second = (await api.get(own.path, limit=2, **{"continue": first["metadata"]["continue"]})).ok()
        assert (names(second), second["metadata"]["remainingItemCount"]) == (["c2", "c3"], 1)
        assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        last = (await api.get(own.path, limit=2, **{"continue": second["metadata"]["continue"]})).ok()
        assert names(last) == ["c4"]
        assert not {"continue", "remainingItemCount"} & set(last["metadata"])

    async def test_may_end_without_a_limit(self, api: Api, five: Collection) -> None:
        first = (await api.get(five.path, limit=2)).ok()
        assert names((await api.get(five.path, **{"continue": first["metadata"]["continue"]})).ok()) == [
            "c2",
            "c3",
            "c4",
        ]

    async def test_with_a_selector_do_not_count_what_remains(self, api: Api, five: Collection) -> None:
        first = (await api.get(five.path, limit=2, labelSelector="even=true")).ok()
        assert names(first) == ["c0", "c2"]
        assert "remainingItemCount" not in first["metadata"]
        query = {"labelSelector": "even=true", "continue": first["metadata"]["continue"]}
        assert names((await api.get(five.path, limit=2, **query)).ok()) == ["c4"]

    async def test_cross_namespaces(self, api: Api, five: Collection) -> None:
        seen: list[tuple[str, str]] = []
        query: dict[str, str] = {"labelSelector": "n"}
        while True:
            page = (await api.get("/api/v1/configmaps", limit=2, **query)).ok()
            seen += [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in page["items"]]
            if not (token := page["metadata"].get("continue")):
                break
            query["continue"] = token
        assert seen == sorted(set(seen))
        assert [name for home, name in seen if home in five.path.split("/") and name.startswith("c")] == [
            "c0",
            "c1",
            "c2",
            "c3",
            "c4",
        ]

    async def test_the_token_says_at_which_version_and_where_to_go_on(self, api: Api, five: Collection) -> None:
        first = (await api.get(five.path, limit=2)).ok()
        version = int(first["metadata"]["resourceVersion"])
        assert decoded(first["metadata"]["continue"]) == {"v": "meta.k8s.io/v1", "rv": version, "start": "/c1\0"}

    async def test_go_on_inconsistently_with_a_token_that_says_so(self, api: Api, own: Collection) -> None:
        first = (await api.get(own.path, limit=2)).ok()
        (await api.delete(f"{own.path}/c2")).ok()
        token = encoded({**decoded(first["metadata"]["continue"]), "rv": -1})
        rest = (await api.get(own.path, **{"continue": token})).ok()
        assert names(rest) == ["c3", "c4"]

    async def test_take_no_version_with_the_token(self, api: Api, five: Collection) -> None:
        first = (await api.get(five.path, limit=2)).ok()
        query = {"continue": first["metadata"]["continue"], "resourceVersion": str(five.versions[0])}
        answer = await api.get(five.path, **query)
        assert (answer.status, answer.reason) == (400, "BadRequest")
        assert answer.json["message"] == "specifying resource version is not allowed when using continue"

    async def test_whose_token_is_too_old_are_gone_with_a_fresh_one(self, api: Api, namespace: str) -> None:
        path = things_path(namespace)
        for name in ("a", "b", "c"):
            (await api.post(path, thing(name))).ok()
        first = (await api.get(path, limit=1)).ok()
        await forget_the_past(api.cluster, int(first["metadata"]["resourceVersion"]))
        old = encoded({**decoded(first["metadata"]["continue"]), "rv": 1})  # before there were any things
        gone = await api.get(path, limit=1, **{"continue": old})
        assert (gone.status, gone.reason, gone.json["code"]) == (410, "Expired", 410)
        assert gone.json["message"].startswith(
            "The provided continue parameter is too old to display a consistent list"
        )
        (await api.delete(f"{path}/b")).ok()
        rest = (await api.get(path, **{"continue": gone.json["metadata"]["continue"]})).ok()
        assert names(rest) == ["c"]

    @pytest.mark.parametrize(
        ("token", "why"),
        [
            ("@@@", "illegal base64 data at input byte 0"),
            (
                encoded({"v": "meta.k8s.io/v1", "rv": 0, "start": "/c1\0"}),
                "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ),
        ],
    )
    async def test_whose_token_cannot_be_read_are_refused(
        self, api: Api, five: Collection, token: str, why: str
    ) -> None:
        answer = await api.get(five.path, **{"continue": token})
        assert (answer.status, answer.reason) == (400, "BadRequest")
        assert answer.json["message"] == f"invalid continue token: continue key is not valid: {why}"

    @pytest.mark.parametrize("option", ["limit", "timeoutSeconds"])
    async def test_need_numbers(self, api: Api, five: Collection, option: str) -> None:
        answer = await api.get(five.path, **{option: "x"})
        assert (answer.status, answer.reason) == (400, "BadRequest")
        assert answer.json["message"] == 'strconv.ParseInt: parsing "x": invalid syntax'


class TestLabelSelectors:
    @pytest.mark.parametrize(
        ("selector", "expected"),
        [
            ("n=1", "1"),
            ("n==1", "1"),
            ("n!=1", "0234"),
            ("n in (0,2)", "02"),
            ("n in (0, 2),even", "02"),
            ("n notin (0,2)", "134"),
            ("n", "01234"),
            ("!n", ""),
            ("other", ""),
            ("!other", "01234"),
            ("other!=x", "01234"),
            ("other notin (x)", "01234"),
            ("n>1", "234"),
            ("n<3", "012"),
            ("n>1,n<3", "2"),
            ("even=true,n!=2", "04"),
            ("n=", ""),
            ("n in ()", ""),
            ("", "01234"),
        ],
    )
    async def test_select(self, api: Api, five: Collection, selector: str, expected: str) -> None:
        listing = (await api.get(five.path, labelSelector=selector)).ok()
        assert names(listing) == [f"c{number}" for number in expected]

    @pytest.mark.parametrize(
        ("selector", "why"),
        [
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("n in", "unable to parse requirement: found '' expected: '('"),
            ("n in (a", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("n===1", "unable to parse requirement: found '=', expected: identifier"),
            ("=1", "found '=', expected: !, identifier, or 'end of string'"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            (
                "n>x",
                "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be "
                "an integer",
            ),
        ],
    )
    async def test_that_make_no_sense_are_refused(self, api: Api, five: Collection, selector: str, why: str) -> None:
        answer = await api.get(five.path, labelSelector=selector)
        assert (answer.status, answer.reason, answer.json["message"]) == (400, "BadRequest", why)

    @pytest.mark.parametrize("selector", ["x/y/z=1", "-a=1", "n=-a"])
    async def test_must_be_possible_labels(self, api: Api, five: Collection, selector: str) -> None:
        answer = await api.get(five.path, labelSelector=selector)
        assert (answer.status, answer.reason) == (400, "BadRequest")
        assert answer.json["message"].startswith("unable to parse requirement: ")
        assert "Invalid value" in answer.json["message"]


class TestFieldSelectors:
    @pytest.mark.parametrize(
        ("selector", "expected"),
        [
            ("metadata.name=c1", ["c1"]),
            ("metadata.name==c1", ["c1"]),
            ("metadata.name!=c1", ["c0", "c2", "c3", "c4"]),
            ("metadata.name=c1,metadata.name=c2", []),
            ("metadata.name=", []),
            ("metadata.namespace=elsewhere", []),
            (r"metadata.name=a\,b", []),
            ("", ["c0", "c1", "c2", "c3", "c4"]),
        ],
    )
    async def test_select_by_name_and_namespace(
        self, api: Api, five: Collection, selector: str, expected: list[str]
    ) -> None:
        assert names((await api.get(five.path, fieldSelector=selector)).ok()) == expected

    async def test_select_a_namespace_among_all(self, api: Api, five: Collection) -> None:
        namespace = five.path.split("/")[4]
        listing = (await api.get("/api/v1/configmaps", fieldSelector=f"metadata.namespace={namespace}")).ok()
        assert [name for name in names(listing) if name.startswith("c")] == ["c0", "c1", "c2", "c3", "c4"]
        assert {item["metadata"]["namespace"] for item in listing["items"]} == {namespace}

    async def test_select_pods_by_node_phase_and_address(self, api: Api, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/pods"
        containers = [{"name": "c", "image": "i"}]
        (await api.post("/api/v1/namespaces/" + namespace + "/serviceaccounts", {"metadata": {"name": "default"}}))
        for number in range(3):
            spec = {"containers": containers, **({"nodeName": f"n{number}"} if number else {})}
            (await api.post(path, {"metadata": {"name": f"p{number}"}, "spec": spec})).ok()
        status = {"phase": "Running", "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}]}
        (await api.patch(f"{path}/p1/status", {"status": status}, content_type=MERGE)).ok()
        cases = {
            "spec.nodeName=n1": ["p1"],
            "spec.nodeName=": ["p0"],
            "spec.nodeName!=n1": ["p0", "p2"],
            "status.phase=Running": ["p1"],
            "status.phase!=Running": ["p0", "p2"],
            "status.phase=Pending,spec.nodeName=n2": ["p2"],
            "spec.restartPolicy=Always": ["p0", "p1", "p2"],
            "spec.schedulerName=default-scheduler": ["p0", "p1", "p2"],
            "spec.hostNetwork=false": ["p0", "p1", "p2"],
            "status.podIP=10.1.2.3": ["p1"],
            "status.nominatedNodeName=": ["p0", "p1", "p2"],
        }
        found = {selector: names((await api.get(path, fieldSelector=selector)).ok()) for selector in cases}
        assert found == cases
        for name in ("p0", "p1", "p2"):
            (await api.delete(f"{path}/{name}", gracePeriodSeconds=0)).ok()

    async def test_select_custom_resources_by_the_fields_of_their_definition(self, api: Api, namespace: str) -> None:
        path = things_path(namespace)
        (await api.post(path, thing("a", colour="red"))).ok()
        (await api.post(path, thing("b", colour="blue"))).ok()
        cases = {
            "spec.colour=red": ["a"],
            "spec.colour!=red": ["b"],
            "spec.colour=red,metadata.name=b": [],
            f"metadata.namespace={namespace}": ["a", "b"],
        }
        assert {selector: names((await api.get(path, fieldSelector=selector)).ok()) for selector in cases} == cases

    @pytest.mark.parametrize(
        ("path", "selector", "why"),
        [
            (
                "configmaps",
                "data.a=1",
                '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
            ),
            ("pods", "spec.foo=1", "field label not supported: spec.foo"),
            ("secrets", "data=1", "field label not supported: data"),
            ("services", "spec.foo=1", "field label not supported: spec.foo"),
            ("configmaps", "metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
            ("configmaps", r"metadata.name=a\b", r"invalid field selector: invalid escape sequence: \b"),
        ],
    )
    async def test_by_anything_else_are_refused(
        self, api: Api, namespace: str, path: str, selector: str, why: str
    ) -> None:
        answer = await api.get(f"/api/v1/namespaces/{namespace}/{path}", fieldSelector=selector)
        assert (answer.status, answer.reason, answer.json["message"]) == (400, "BadRequest", why)

    async def test_by_a_field_that_the_definition_does_not_name_are_refused(self, api: Api, namespace: str) -> None:
        answer = await api.get(things_path(namespace), fieldSelector="spec.size=1")
        assert (answer.status, answer.json["message"]) == (400, "field label not supported: spec.size")

    async def test_of_what_has_no_namespace_do_not_know_it(self, api: Api) -> None:
        answer = await api.get("/api/v1/namespaces", fieldSelector="metadata.namespace=x")
        assert (answer.status, answer.json["message"]) == (400, "field label not supported: metadata.namespace")
        assert (await api.get("/api/v1/namespaces", fieldSelector="status.phase=Active")).status == 200
