"""Who may do what: roles and their bindings, tokens, reviews, and taking another user's part."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from helpers.rest import JSON, Answer, Api

RBAC = "/apis/rbac.authorization.k8s.io/v1"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
AUTHENTICATION = "/apis/authentication.k8s.io/v1"


def refused(answer: Answer) -> str:
    """The words of a refusal."""
    assert (answer.status, answer.reason) == (403, "Forbidden"), answer.text
    return str(answer.json["message"])


async def grant(
    api: Api, namespace: str, subject: dict[str, Any], *rules: dict[str, Any], name: str = "granted"
) -> None:
    """Bind a role with these rules to somebody, in one namespace."""
    role = {"metadata": {"name": name}, "rules": list(rules)}
    (await api.post(f"{RBAC}/namespaces/{namespace}/roles", role)).ok()
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
    (await api.post(f"{RBAC}/namespaces/{namespace}/rolebindings", binding)).ok()


def rule(group: str, resource: str, *verbs: str, names: tuple[str, ...] = ()) -> dict[str, Any]:
    found: dict[str, Any] = {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
    return {**found, "resourceNames": list(names)} if names else found


def user(name: str) -> dict[str, str]:
    return {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}


async def allowed(api: Api, path: str) -> None:
    """Wait until a grant has reached the server's authorizer."""
    await api.eventually(path, lambda answer: answer.status != 403)


async def test_a_user_without_a_role_may_list_nothing(api: Api, namespace: str) -> None:
    bob = await api.as_user("bob", ["devs"])

    answer = await bob.get(f"/api/v1/namespaces/{namespace}/pods")

    assert refused(answer) == (
        f'pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "{namespace}"'
    )
    assert answer.json["details"] == {"kind": "pods"}


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        (
            "GET",
            "/api/v1/pods",
            'pods is forbidden: User "bob" cannot list resource "pods" in API group "" at the cluster scope',
        ),
        (
            "GET",
            "/api/v1/nodes/n",
            'nodes "n" is forbidden: User "bob" cannot get resource "nodes" in API group "" at the cluster scope',
        ),
        (
            "GET",
            "/api/v1/namespaces/x/pods/p/log",
            'pods "p" is forbidden: User "bob" cannot get resource "pods/log" in API group "" in the namespace "x"',
        ),
        (
            "GET",
            "/apis/example.com/v1/namespaces/x/widgets/w/status",
            'widgets.example.com "w" is forbidden: User "bob" cannot get resource "widgets/status" in API group "example.com" '
            'in the namespace "x"',
        ),
        (
            "DELETE",
            "/api/v1/namespaces/x/pods",
            'pods is forbidden: User "bob" cannot deletecollection resource "pods" in API group "" in the namespace "x"',
        ),
        (
            "GET",
            "/api/v1/namespaces/x/nonsense",
            'nonsense is forbidden: User "bob" cannot list resource "nonsense" in API group "" in the namespace "x"',
        ),
        ("GET", "/metrics", 'forbidden: User "bob" cannot get path "/metrics"'),
    ],
)
async def test_a_refusal_names_user_verb_resource_and_place(api: Api, method: str, path: str, expected: str) -> None:
    bob = await api.as_user("bob")
    assert refused(await bob.request(method, path)) == expected


async def test_a_refused_watch_and_write_name_their_verbs(api: Api, namespace: str) -> None:
    bob = await api.as_user("bob")
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    watch = await bob.get(path, watch=True)
    create = await bob.post(path, {"metadata": {"name": "a"}})
    update = await bob.put(f"{path}/a", {"metadata": {"name": "a"}})
    patch = await bob.patch(f"{path}/a", {})
    assert 'cannot watch resource "configmaps"' in refused(watch)
    assert 'cannot create resource "configmaps"' in refused(create)
    assert 'cannot update resource "configmaps"' in refused(update)
    assert 'cannot patch resource "configmaps"' in refused(patch)


@pytest.mark.parametrize("path", ["/api", "/apis", "/version", "/healthz", "/openapi/v3"])
async def test_everybody_may_discover(api: Api, path: str) -> None:
    bob = await api.as_user("bob")
    assert (await bob.get(path)).status == 200


async def test_a_role_allows_what_it_lists_and_no_more(api: Api, namespace: str) -> None:
    bob = await api.as_user("bob")
    await grant(
        api, namespace, user("bob"), rule("", "configmaps", "get", "list"), rule("", "pods", "get", names=("p1",))
    )
    await allowed(bob, f"/api/v1/namespaces/{namespace}/configmaps")
    assert (await bob.get(f"/api/v1/namespaces/{namespace}/configmaps/none")).status == 404
    assert (await bob.get(f"/api/v1/namespaces/{namespace}/pods/p1")).status == 404
    refused(await bob.get(f"/api/v1/namespaces/{namespace}/pods/p2"))
    refused(await bob.post(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "a"}}))
    refused(await bob.get("/api/v1/namespaces/default/configmaps"))


async def test_a_role_may_speak_of_all_verbs_resources_and_groups(api: Api, namespace: str) -> None:
    bob = await api.as_user("bob")
    await grant(api, namespace, user("bob"), rule("*", "*", "*"))
    await allowed(bob, f"/api/v1/namespaces/{namespace}/secrets")
    (await bob.post(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "a"}})).ok()
    assert (await bob.get(f"/apis/apps/v1/namespaces/{namespace}/controllerrevisions")).status == 200
    refused(await bob.get("/api/v1/configmaps"))


async def test_a_subresource_is_allowed_apart(api: Api, namespace: str) -> None:
    bob = await api.as_user("bob")
    path = f"/api/v1/namespaces/{namespace}/pods"
    await grant(api, namespace, user("bob"), rule("", "pods/status", "get"))
    await allowed(bob, f"{path}/p/status")
    refused(await bob.get(f"{path}/p"))


async def test_a_binding_to_a_group_reaches_its_members(api: Api, namespace: str) -> None:
    group = {"kind": "Group", "name": "readers", "apiGroup": "rbac.authorization.k8s.io"}
    await grant(api, namespace, group, rule("", "configmaps", "list"))
    member, other = await api.as_user("member", ["readers"]), await api.as_user("other", ["writers"])
    await allowed(member, f"/api/v1/namespaces/{namespace}/configmaps")
    refused(await other.get(f"/api/v1/namespaces/{namespace}/configmaps"))


async def test_a_binding_to_a_service_account_reaches_its_token(api: Api, namespace: str) -> None:
    (await api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "robot"}})).ok()
    robot = await api.as_service_account("robot", namespace)
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    name = f"system:serviceaccount:{namespace}:robot"
    assert f'User "{name}" cannot list' in refused(await robot.get(path))
    subject = {"kind": "ServiceAccount", "name": "robot", "namespace": namespace}
    await grant(api, namespace, subject, rule("", "configmaps", "list"))
    await allowed(robot, path)


async def test_a_cluster_role_bound_in_a_namespace_counts_there_alone(api: Api, namespace: str) -> None:
    bob = await api.as_user("bob")
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    binding = {"metadata": {"name": "b"}, "roleRef": reference, "subjects": [user("bob")]}
    (await api.post(f"{RBAC}/namespaces/{namespace}/rolebindings", binding)).ok()
    await allowed(bob, f"/api/v1/namespaces/{namespace}/secrets")
    refused(await bob.get("/api/v1/secrets"))
    refused(await bob.get("/api/v1/nodes"))


async def test_a_role_that_is_missing_is_named_in_the_refusal(api: Api, namespace: str) -> None:
    bob = await api.as_user("bob")
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "nowhere"}
    binding = {"metadata": {"name": "b"}, "roleRef": reference, "subjects": [user("bob")]}
    (await api.post(f"{RBAC}/namespaces/{namespace}/rolebindings", binding)).ok()
    answer = await bob.eventually(
        f"/api/v1/namespaces/{namespace}/pods", lambda answer: "RBAC" in answer.json["message"]
    )
    assert refused(answer).endswith(': RBAC: role.rbac.authorization.k8s.io "nowhere" not found')


async def test_nobody_grants_more_than_they_have(api: Api, namespace: str) -> None:
    bob = await api.as_user("bob", ["devs"])
    roles = f"{RBAC}/namespaces/{namespace}/roles"
    rules = rule("rbac.authorization.k8s.io", "roles", "get", "create"), rule("", "configmaps", "get")
    await grant(api, namespace, user("bob"), *rules)
    await allowed(bob, f"{roles}/none")
    fine = {"metadata": {"name": "fine"}, "rules": [rule("", "configmaps", "get")]}
    (await bob.post(roles, fine)).ok()
    more = {"metadata": {"name": "more"}, "rules": [rule("", "secrets", "get")]}
    assert refused(await bob.post(roles, more)) == (
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "bob" (groups=["devs" "system:authenticated"]) is '
        "attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'
    )


async def test_nobody_binds_a_role_with_more_than_they_have(api: Api, namespace: str) -> None:
    bob = await api.as_user("bob", ["devs"])
    bindings = f"{RBAC}/namespaces/{namespace}/rolebindings"
    await grant(api, namespace, user("bob"), rule("rbac.authorization.k8s.io", "rolebindings", "get", "create"))
    await allowed(bob, f"{bindings}/none")
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    answer = await bob.post(bindings, {"metadata": {"name": "more"}, "roleRef": reference, "subjects": [user("bob")]})
    assert "is attempting to grant RBAC permissions not currently held:" in refused(answer)


async def test_who_am_i(api: Api) -> None:
    bob = await api.as_user("bob", ["devs"])
    info = (await bob.post(f"{AUTHENTICATION}/selfsubjectreviews", {})).ok()["status"]["userInfo"]
    assert (info["username"], info["groups"]) == ("bob", ["devs", "system:authenticated"])


async def test_an_administrator_may_do_everything(api: Api, namespace: str) -> None:
    attributes = {"namespace": namespace, "verb": "delete", "resource": "secrets"}
    review = await api.post(f"{AUTHORIZATION}/selfsubjectaccessreviews", {"spec": {"resourceAttributes": attributes}})
    assert review.status == 201
    assert review.json["status"] == {"allowed": True}


async def test_may_i(api: Api, namespace: str) -> None:
    bob = await api.as_user("bob")
    await grant(api, namespace, user("bob"), rule("", "configmaps", "get", "list"))
    await allowed(bob, f"/api/v1/namespaces/{namespace}/configmaps")

    async def ask(resource: str) -> Any:
        spec = {"resourceAttributes": {"namespace": namespace, "verb": "get", "resource": resource}}
        return (await bob.post(f"{AUTHORIZATION}/selfsubjectaccessreviews", {"spec": spec})).ok()["status"]

    reason = f'RBAC: allowed by RoleBinding "granted/{namespace}" of Role "granted" to User "bob"'
    assert await ask("configmaps") == {"allowed": True, "reason": reason}
    assert await ask("secrets") == {"allowed": False}


async def test_may_i_see_a_path(api: Api) -> None:
    bob = await api.as_user("bob")

    async def ask(path: str) -> Any:
        spec = {"nonResourceAttributes": {"path": path, "verb": "get"}}
        return (await bob.post(f"{AUTHORIZATION}/selfsubjectaccessreviews", {"spec": spec})).ok()["status"]["allowed"]

    assert (await ask("/healthz"), await ask("/metrics")) == (True, False)


async def test_may_they(api: Api, namespace: str) -> None:
    bob = await api.as_user("bob")
    group = {"kind": "Group", "name": "readers", "apiGroup": "rbac.authorization.k8s.io"}
    await grant(api, namespace, group, rule("", "configmaps", "get", "list"))
    await grant(api, namespace, user("bob"), rule("", "configmaps", "list"), name="bobs")
    await allowed(bob, f"/api/v1/namespaces/{namespace}/configmaps")
    attributes = {"namespace": namespace, "verb": "get", "resource": "configmaps"}

    async def ask(path: str, **spec: Any) -> Any:
        body = {"metadata": {"namespace": namespace} if "local" in path else {}}
        return (await api.post(path, {**body, "spec": {**spec, "resourceAttributes": attributes}})).ok()["status"]

    everywhere = f"{AUTHORIZATION}/subjectaccessreviews"
    here = f"{AUTHORIZATION}/namespaces/{namespace}/localsubjectaccessreviews"
    assert (await ask(everywhere, user="bob"))["allowed"] is False
    assert (await ask(everywhere, user="bob", groups=["readers"]))["allowed"] is True
    assert (await ask(here, user="bob", groups=["readers"]))["allowed"] is True


@pytest.mark.parametrize(
    ("resource", "spec", "field", "why"),
    [
        (
            "selfsubjectaccessreviews",
            {},
            "spec.resourceAttributes",
            "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ),
        (
            "subjectaccessreviews",
            {"resourceAttributes": {"verb": "get", "resource": "pods"}},
            "spec.user",
            'Invalid value: "": at least one of user or group must be specified',
        ),
    ],
)
async def test_a_review_must_say_of_what_and_whom(
    api: Api, resource: str, spec: dict[str, Any], field: str, why: str
) -> None:
    answer = await api.post(f"{AUTHORIZATION}/{resource}", {"spec": spec})
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.json["details"]["causes"] == [{"reason": "FieldValueInvalid", "message": why, "field": field}]


async def test_what_may_i(api: Api, namespace: str) -> None:
    bob = await api.as_user("bob")
    await grant(api, namespace, user("bob"), rule("", "configmaps", "list"))
    await allowed(bob, f"/api/v1/namespaces/{namespace}/configmaps")
    answer = await bob.post(f"{AUTHORIZATION}/selfsubjectrulesreviews", {"spec": {"namespace": namespace}})
    status = answer.ok()["status"]
    assert status["incomplete"] is False
    assert rule("", "configmaps", "list") in status["resourceRules"]
    assert any("/api/*" in each["nonResourceURLs"] for each in status["nonResourceRules"])


async def test_a_token_of_a_service_account(api: Api, namespace: str) -> None:
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    account = (await api.post(accounts, {"metadata": {"name": "robot"}})).ok()
    request = await api.post(f"{accounts}/robot/token", {"spec": {"expirationSeconds": 3600}})
    assert request.status == 201
    assert (request.json["kind"], request.json["spec"]["expirationSeconds"]) == ("TokenRequest", 3600)
    token = request.json["status"]["token"]
    review = (await api.post(f"{AUTHENTICATION}/tokenreviews", {"spec": {"token": token}})).ok()["status"]
    assert review["authenticated"] is True
    found = review["user"]
    assert (found["username"], found["uid"]) == (f"system:serviceaccount:{namespace}:robot", account["metadata"]["uid"])
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    assert found["groups"] == groups


async def test_a_token_dies_with_its_service_account(api: Api, namespace: str) -> None:
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    (await api.post(accounts, {"metadata": {"name": "robot"}})).ok()
    token = (await api.post(f"{accounts}/robot/token", {"spec": {}})).ok()["status"]["token"]
    (await api.delete(f"{accounts}/robot")).ok()

    async def lives() -> bool:
        review = await api.post(f"{AUTHENTICATION}/tokenreviews", {"spec": {"token": token}})
        return bool(review.ok()["status"].get("authenticated", False))

    async with asyncio.timeout(20):  # a real server sees it in a cache
        while await lives():
            await asyncio.sleep(0.1)
    assert not await lives()


async def test_a_token_for_others_is_none_for_this_server(api: Api, namespace: str) -> None:
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    (await api.post(accounts, {"metadata": {"name": "robot"}})).ok()
    token = (await api.post(f"{accounts}/robot/token", {"spec": {"audiences": ["vault"]}})).ok()["status"]["token"]

    async def valid(spec: dict[str, Any]) -> bool:
        status = (await api.post(f"{AUTHENTICATION}/tokenreviews", {"spec": {"token": token, **spec}})).ok()["status"]
        return bool(status.get("authenticated", False))

    assert await valid({}) is False


async def test_a_token_that_is_too_short_lived_is_refused(api: Api, namespace: str) -> None:
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    (await api.post(accounts, {"metadata": {"name": "robot"}})).ok()
    answer = await api.post(f"{accounts}/robot/token", {"spec": {"expirationSeconds": 5}})
    assert answer.status == 422
    assert answer.json["message"] == (
        'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 5: may not specify a '
        "duration less than 10 minutes"
    )


async def test_a_token_of_nobody(api: Api, namespace: str) -> None:
    answer = await api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts/none/token", {"spec": {}})
    assert (answer.status, answer.json["message"]) == (404, 'serviceaccounts "none" not found')


async def test_a_token_that_is_unknown(api: Api) -> None:
    review = (await api.post(f"{AUTHENTICATION}/tokenreviews", {"spec": {"token": "nobodys"}})).ok()
    assert review["status"] == {"user": {}, "error": "invalid bearer token"}
    empty = await api.post(f"{AUTHENTICATION}/tokenreviews", {"spec": {}})
    assert (empty.status, empty.json["message"]) == (400, "token is required for TokenReview in authentication")


async def test_an_administrator_takes_another_user_s_part(api: Api, namespace: str) -> None:
    headers = {"Impersonate-User": "jane", "Impersonate-Group": "devs"}
    review = await api.request("POST", f"{AUTHENTICATION}/selfsubjectreviews", {}, content_type=JSON, headers=headers)
    info = review.ok()["status"]["userInfo"]
    assert (info["username"], info["groups"]) == ("jane", ["devs", "system:authenticated"])
    listing = await api.request("GET", f"/api/v1/namespaces/{namespace}/pods", headers=headers)
    assert 'User "jane" cannot list resource "pods"' in refused(listing)


async def test_a_service_account_s_part_comes_with_its_groups(api: Api, namespace: str) -> None:
    headers = {"Impersonate-User": f"system:serviceaccount:{namespace}:robot"}
    review = await api.request("POST", f"{AUTHENTICATION}/selfsubjectreviews", {}, content_type=JSON, headers=headers)
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    assert review.ok()["status"]["userInfo"]["groups"] == groups


async def test_groups_alone_are_nobody(api: Api) -> None:
    answer = await api.request("GET", "/api/v1/nodes", headers={"Impersonate-Group": "devs"})
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.json["message"].endswith("without impersonating a user name")


async def test_taking_another_s_part_needs_permission(api: Api, namespace: str) -> None:
    bob = await api.as_user("bob")
    path = f"/api/v1/namespaces/{namespace}/pods"
    answer = await bob.request("GET", path, headers={"Impersonate-User": "jane"})
    assert refused(answer) == (
        'pods is forbidden: User "bob" cannot impersonate-on:user-info:list resource "pods" in API group "" in the '
        f'namespace "{namespace}"'
    )
    accounts = rule("", "serviceaccounts", "impersonate")
    await grant(api, namespace, user("bob"), accounts)
    headers = {"Impersonate-User": f"system:serviceaccount:{namespace}:robot"}
    await bob.eventually("/version", lambda answer: answer.status == 200)
    for _ in range(200):
        answer = await bob.request("GET", path, headers=headers)
        if "impersonate" not in answer.json["message"]:
            break
    assert f'User "system:serviceaccount:{namespace}:robot" cannot list resource "pods"' in refused(answer)
