"""The gate: the ways in, and that there is no other; whose pictures one sees; throttle, cookies and addresses."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.api.test_app import ADDRESS
from webui.api import app as api
from webui.api import gate, login, people
from webui.api.people import NotLet, People, Throttle
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.errors import BadRecipe
from webui.gallery import Record
from webui.settings import Door, Settings
from webui.studio import Studio

USERS = (("ann", "corréct horse"), ("bob", "pass:word"))
SMALL: dict[str, Any] = {"prompt": "a lake", "steps": 4, "width": 64, "height": 64}
PAGE = {"accept": "text/html,application/xhtml+xml"}


class House:
    """A studio behind a gate, with routes that say who asks."""

    def __init__(self, folder: Path, door: Door) -> None:
        self.studio = Studio(Settings(data_dir=folder, door=door), FakeEngine(), Catalog(folder / "models"))
        self.studio.start()
        self.app = api.create(self.studio)
        self.app.add_api_route("/who", self._who, methods=["GET", "POST"])
        self.app.add_api_route("/gradio_api/upload", self._who, methods=["POST"])
        self.app.add_api_websocket_route("/socket", self._socket)

    def _who(self, request: Request) -> dict[str, str]:
        return {"owner": request.state.owner, "seen": gate.seen(self.studio, request).gallery.owner}

    async def _socket(self, socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.state.owner)
        await socket.close()

    def client(self, address: str = ADDRESS) -> TestClient:
        return TestClient(self.app, base_url=address, follow_redirects=False)

    def logged_in(self, user: str, password: str) -> TestClient:
        client = self.client()
        answer = client.post("/login", data={"user": user, "password": password})
        assert answer.status_code == 303, answer.text
        return client

    def owner(self, client: TestClient, **headers: str) -> str:
        told = client.get("/who", headers=headers).json()
        assert told["owner"] == told["seen"]
        return str(told["owner"])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Give a house with two users."""
    house = House(tmp_path, Door(users=USERS))
    yield house
    house.studio.close()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[House]:
    """Give a house that is a demo."""
    house = House(tmp_path, Door(demo=True))
    yield house
    house.studio.close()


def basic(text: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


# ---- the ways in -------------------------------------------------------------------------------------------


def test_without_a_gate_everybody_is_nobody_and_sees_everything(tmp_path: Path) -> None:
    house = House(tmp_path, Door())
    assert house.owner(house.client()) == house.owner(house.client(), **basic("ann:x")) == ""
    assert "set-cookie" not in house.client().get("/who").headers
    assert not (tmp_path / "secret").exists()
    house.studio.close()


def test_each_way_in_gives_the_same_owner_and_each_user_another(house: House) -> None:
    client = house.logged_in(*USERS[0])
    owner = house.owner(client)
    assert re.fullmatch("[0-9a-f]{32}", owner)
    assert house.owner(house.client(), **basic("ann:corréct horse")) == owner
    token = house.app.state.people.token_for("ann")
    assert house.owner(house.client(), authorization=f"bearer {token}") == owner
    assert house.owner(house.logged_in(*USERS[1])) == house.owner(house.client(), **basic("bob:pass:word")) != owner


def test_an_owner_is_the_same_after_a_restart_and_a_login_is_not(house: House, tmp_path: Path) -> None:
    client = house.logged_in(*USERS[0])
    owner = house.owner(client)
    house.studio.close()
    again = House(tmp_path, Door(users=USERS))
    assert again.owner(again.logged_in(*USERS[0])) == owner
    assert again.client().get("/who", headers={"cookie": f"reseed_session={client.cookies['reseed_session']}"}).is_error
    again.studio.close()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer "},
        {"authorization": "Bearer nothing"},
        {"authorization": "Basic"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic //79"},
        {"authorization": "Digest x"},
        basic("ann"),
        basic("ann:"),
        basic("ann:wrong"),
        basic(":"),
        basic("nobody:corréct horse"),
        basic("Ann:corréct horse"),
        {"cookie": "reseed_session="},
        {"cookie": "reseed_session=nothing"},
        {"cookie": "reseed_visitor=" + "0" * 32},
        {"accept": "text/event-stream"},
        {"accept": "application/json"},
    ],
)
@pytest.mark.parametrize(
    "path",
    ["/who", "/", "/config", "/gradio_api/queue/data?session_hash=x", "/pictures/x.png", "/openapi.json", "//who"],
)
def test_there_is_no_other_way_in(house: House, path: str, headers: dict[str, str]) -> None:
    for method in ("GET", "POST", "HEAD", "OPTIONS", "DELETE"):
        answer = house.client().request(method, f"{ADDRESS}{path}", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Basic realm="Reseed"'
        assert method == "HEAD" or answer.json()["error"]["code"] == "not_let"


def test_a_token_of_one_kind_is_no_way_in_of_the_other(house: House) -> None:
    session = house.logged_in(*USERS[0]).cookies["reseed_session"]
    bearer = house.app.state.people.token_for("ann")
    assert house.client().get("/who", headers={"authorization": f"Bearer {session}"}).status_code == 401
    assert house.client().get("/who", headers={"cookie": f"reseed_session={bearer}"}).status_code == 401


def test_a_part_of_the_page_gets_no_box_of_the_browser(house: House) -> None:
    answer = house.client().get("/who", headers={"sec-fetch-mode": "cors", "sec-fetch-site": "same-origin"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="Reseed"')


def test_a_socket_needs_a_login_too(house: House) -> None:
    with (
        pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)),
        house.client().websocket_connect(f"ws{ADDRESS[4:]}/socket"),
    ):
        pass
    client = house.logged_in(*USERS[0])
    with client.websocket_connect(f"ws{ADDRESS[4:]}/socket", headers={"origin": ADDRESS}) as socket:
        assert socket.receive_text() == house.owner(client)


def test_a_sign_of_life_needs_none(house: House) -> None:
    assert house.client().get("/healthz").json()["status"] == "ok"
    assert house.client().post("/ims/token/v3").status_code == 415  # the route that is open brings its own lock


# ---- the login page ----------------------------------------------------------------------------------------


def test_a_person_is_sent_to_the_login_page_and_back(house: House) -> None:
    client = house.client()
    answer = client.get("/?v=1&prompt=a+lake%2C+ducks", headers=PAGE)
    assert answer.status_code == 303
    where = answer.headers["location"]
    assert where == "/login?next=%2F%3Fv%3D1%26prompt%3Da%2Blake%252C%2Bducks"
    assert client.get("/", headers=PAGE).headers["location"] == "/login"
    drawn = client.get(where).text
    assert '<label for="password">Password</label>' in drawn
    action = re.findall('action="([^"]*)"', drawn)[0]
    answer = client.post(action, data={"user": "ann", "password": "corréct horse"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/?v=1&prompt=a+lake%2C+ducks")


def test_the_cookie_is_out_of_reach(house: House) -> None:
    set_cookie = house.client().post("/login", data={"user": "ann", "password": "corréct horse"}).headers["set-cookie"]
    name, *rest = set_cookie.split("; ")
    assert re.fullmatch("reseed_session=[A-Za-z0-9_-]{43}", name)
    assert sorted(rest) == ["HttpOnly", f"Max-Age={people.SECONDS['session']}", "Path=/", "SameSite=Lax"]


def test_a_wrong_password_is_a_sentence_and_what_was_typed_is_escaped(house: House) -> None:
    answer = house.client().post("/login", data={"user": '"><b>ann {wrong}', "password": "x"})
    assert answer.status_code == 401
    assert '<p class="wrong" role="alert">The name or the password is wrong.</p>' in answer.text
    assert 'value="&quot;&gt;&lt;b&gt;ann {wrong}"' in answer.text
    assert "set-cookie" not in answer.headers
    assert (answer.headers["cache-control"], answer.headers["x-frame-options"]) == ("no-store", "SAMEORIGIN")
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"user": "ann"}', "application/json", 415),
        (b"user=ann", "application/x-www-form-urlencoded", 422),
        (b"", "application/x-www-form-urlencoded", 422),
        (b"user=ann&user=bob&password=x", "application/x-www-form-urlencoded", 422),
        (b"user=%ff&password=x", "application/x-www-form-urlencoded", 422),
        (b"\xff", "application/x-www-form-urlencoded", 422),
        (b"user=ann&password=" + b"x" * 20_000, "application/x-www-form-urlencoded", 413),
        (b"&" * 100, "application/x-www-form-urlencoded", 422),
    ],
)
def test_a_form_that_is_none_lets_nobody_in(house: House, content: bytes, kind: str, status: int) -> None:
    answer = house.client().post("/login", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert "set-cookie" not in answer.headers
    for method in ("PUT", "DELETE"):
        assert house.client().request(method, "/login").status_code == 405


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "evil.example",
        "@evil.example",
        "/login?next=/",
        "/logout",
        "/ä",
        "/\0",
        '/"><script>',
        "/" + "x" * 200_000,
        "//[",
        "",
    ],
)
def test_nobody_is_sent_elsewhere(house: House, address: str) -> None:
    assert login.local(address) == "/"
    if len(address) < 1000 and address.isprintable():
        form = {"user": "ann", "password": "corréct horse"}
        answer = house.client().post("/login", params={"next": address}, data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize("address", ["/", "/?a=//evil.example", "/sweeps/9f3c.png", "/?prompt=100%25", "/a//b"])
def test_a_page_of_ours_is_gone_back_to(address: str) -> None:
    assert login.local(address) == address


def test_logging_out_ends_the_session_and_clears_the_browser(house: House) -> None:
    client = house.logged_in(*USERS[0])
    token = client.cookies["reseed_session"]
    assert client.get("/logout").status_code == 405
    answer = client.post("/logout", headers={"origin": ADDRESS})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert house.client().get("/who", headers={"cookie": f"reseed_session={token}"}).status_code == 401


def test_another_site_can_neither_log_in_nor_out(house: House) -> None:
    client = house.logged_in(*USERS[0])
    for path in ("/login", "/logout"):
        assert client.post(path, data={"user": "x"}, headers={"origin": "http://evil.example"}).status_code == 403
    assert house.owner(client)


def test_below_a_path_of_a_proxy_everything_leads_there(tmp_path: Path) -> None:
    house = House(tmp_path, Door(users=USERS, root="/studio", proxy=True, hosts=("pictures.example",)))
    forwarded = {
        "x-forwarded-host": "pictures.example",
        "x-forwarded-proto": "https",
        "x-forwarded-for": "9.9.9.9, 1.2.3.4",
    }
    client = house.client()
    answer = client.get("/?a=1", headers={**PAGE, **forwarded})
    assert answer.headers["location"] == "/studio/login?next=%2F%3Fa%3D1"
    assert 'action="/studio/login?next=%2F%3Fa%3D1"' in client.get("/login?next=%2F%3Fa%3D1").text
    form = {"user": "ann", "password": "corréct horse"}
    origin = {"origin": "https://pictures.example"}
    answer = client.post("/login?next=%2F%3Fa%3D1", data=form, headers={**forwarded, **origin})
    assert answer.headers["location"] == "/studio/?a=1"
    assert {"Path=/studio", "Secure", "HttpOnly"} <= set(answer.headers["set-cookie"].split("; "))
    assert (
        client.post("/login", data=form, headers={**forwarded, "origin": "http://pictures.example"}).status_code == 403
    )
    assert list(house.app.state.people._came_from) == ["1.2.3.4 ann"]
    house.studio.close()


def test_a_proxy_that_is_not_believed_is_not_read(house: House) -> None:
    forwarded = {"x-forwarded-proto": "https", "x-forwarded-for": "1.2.3.4", "forwarded": "for=1.2.3.4"}
    answer = house.client().post("/login", data={"user": "ann", "password": "corréct horse"}, headers=forwarded)
    assert "Secure" not in answer.headers["set-cookie"]
    assert list(house.app.state.people._came_from) == ["testclient ann"]


def test_the_name_of_a_public_link_is_answered_by_https_while_there_is_one(house: House) -> None:
    there = {"host": "x.gradio.live"}
    assert house.client().get("/healthz", headers=there).status_code == 421
    house.app.state.shared.add("x.gradio.live")
    form = {"user": "ann", "password": "corréct horse"}
    answer = house.client().post("/login", data=form, headers={**there, "origin": "https://x.gradio.live"})
    assert "Secure" in answer.headers["set-cookie"]
    assert house.client().get("/healthz", headers={"host": "y.gradio.live"}).status_code == 421


# ---- guessing ----------------------------------------------------------------------------------------------


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_after_five_failures_each_costs_twice_as_long_up_to_a_minute() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    waits = []
    for _ in range(13):
        clock.now += throttle.wait(["a"])
        throttle.failed(["a"])
        waits.append(throttle.wait(["a", "b"]))
    assert waits == [0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert throttle.wait(["b"]) == 0
    clock.now += people.FORGOTTEN
    throttle.failed(["a"])
    assert throttle.wait(["a"]) == 0


def test_what_is_remembered_of_guessers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "REMEMBERED", 10)
    known = People(USERS, Clock())
    for number in range(50):
        with pytest.raises(NotLet):
            known.enter(f"nobody {number}", "x", f"10.0.0.{number}")
        known.token_for("ann")
        known.enter("ann", "corréct horse", f"10.0.1.{number}")
    assert (len(known.throttle._failed), len(known._logins), len(known._came_from)) == (10, 10, 10)


def test_guessing_is_slowed_by_address_and_by_name_and_the_right_password_waits_too() -> None:
    clock = Clock()
    known = People(USERS, clock)
    for number in range(5):
        with pytest.raises(NotLet, match="is wrong"):
            known.enter(f"name {number}", "x", "1.1.1.1")
    with pytest.raises(NotLet, match="Try again in 2 seconds") as refused:
        known.enter("ann", "corréct horse", "1.1.1.1")
    assert (refused.value.status, refused.value.retry_after) == (429, 2)
    clock.now += 2
    assert known.enter("ann", "corréct horse", "1.1.1.1") == "ann"
    for number in range(5):
        with pytest.raises(NotLet, match="is wrong"):
            known.enter("bob", "x", f"2.2.2.{number}")
    with pytest.raises(NotLet, match="Too many wrong passwords"):
        known.enter("bob", "pass:word", "3.3.3.3")


def test_who_guesses_from_elsewhere_shuts_nobody_out_where_they_were_before() -> None:
    known = People(USERS, Clock())
    known.enter("bob", "pass:word", "2001:db8::1")
    for number in range(9):
        with pytest.raises(NotLet):
            known.enter("bob", "x", f"2.2.2.{number}")
    assert known.enter("bob", "pass:word", "2001:db8::2") == "bob"


def test_logins_end_in_time() -> None:
    clock = Clock()
    known = People(USERS, clock)
    session, bearer = known.token_for("ann", "session"), known.token_for("ann")
    clock.now += people.SECONDS["bearer"]
    assert (known.user_of(session, "session"), known.user_of(bearer)) == ("ann", None)
    clock.now += people.SECONDS["session"]
    assert known.user_of(session, "session") is None
    assert (known.is_open, People().is_open, People().check("", "")) == (False, True, False)


def test_the_page_and_programs_are_told_to_wait(house: House) -> None:
    client = house.client()
    for _ in range(5):
        client.post("/login", data={"user": "ann", "password": "x"})
    answer = client.post("/login", data={"user": "ann", "password": "corréct horse"})
    assert (answer.status_code, int(answer.headers["retry-after"]) in (1, 2)) == (429, True)
    assert "Too many wrong passwords. Try again in " in answer.text
    answer = client.get("/who", headers=basic("ann:corréct horse"))
    assert (answer.status_code, int(answer.headers["retry-after"]) in (1, 2)) == (429, True)
    assert "www-authenticate" not in answer.headers


# ---- whose pictures ----------------------------------------------------------------------------------------


def made(house: House, client: TestClient) -> tuple[Record, str, str, str]:
    """Make a picture, a draft and a sweep as whoever is logged in; return the picture, and addresses of the others."""
    own = house.studio.of(house.owner(client))
    (record,) = list(own.jobs.watch(own.submit(SMALL, "7").job))[-1].records
    sheet = list(own.jobs.watch(own.explore(SMALL, "7-8").job))[-1]
    sweep = list(own.jobs.watch(own.sweep(own.plan([("Steps", "1, 2")], SMALL)).job))[-1]
    return record, f"/drafts/{sheet.drafts[0][1]}.png", f"?{sheet.job}", f"/sweeps/{sweep.job}.png"


def test_pictures_and_what_belongs_to_them_are_served_to_their_owner(house: House) -> None:
    ann, bob = house.logged_in(*USERS[0]), house.logged_in(*USERS[1])
    record, draft, job, sweep = made(house, ann)
    for path in (f"/pictures/{record.id}.png", f"/thumbnails/{record.id}", draft + job, sweep):
        assert ann.get(path).status_code == 200, path
        assert bob.get(path).status_code == 404, path
        assert house.client().get(path).status_code == 401, path
        assert house.client().get(path, headers=PAGE).status_code == 303, path
    for tail in ("", "?nothing", f"?{sweep}"):
        assert ann.get(draft + tail).status_code == 404


def test_visitors_of_a_demo_see_only_their_own(demo: House) -> None:
    one, other = demo.client(), demo.client()
    set_cookie = one.get("/who").headers["set-cookie"]
    name, *rest = set_cookie.split("; ")
    assert re.fullmatch("reseed_visitor=[0-9a-f]{32}", name)
    assert sorted(rest) == ["HttpOnly", f"Max-Age={people.SECONDS['session']}", "Path=/", "SameSite=Lax"]
    assert "set-cookie" not in one.get("/who").headers
    other.get("/who")
    assert demo.owner(one) != demo.owner(other)
    record, draft, job, sweep = made(demo, one)
    assert name.partition("=")[2].encode() not in record.path.read_bytes()
    for path in (f"/pictures/{record.id}.png", f"/thumbnails/{record.id}", draft + job, sweep):
        assert (one.get(path).status_code, other.get(path).status_code) == (200, 404), path


@pytest.mark.parametrize("cookie", ["", "x", "A" * 32, "0" * 31, "0" * 33, "' OR 1"])
def test_a_visitor_s_cookie_that_is_none_is_replaced(demo: House, cookie: str) -> None:
    answer = demo.client().get("/who", headers={"cookie": f"reseed_visitor={cookie}"})
    assert "reseed_visitor=" in answer.headers["set-cookie"]


def test_a_visitor_s_uploads_and_bodies_are_bounded(demo: House) -> None:
    client, other = demo.client(), demo.client()
    for one in (client, other):
        one.get("/who")
    for _ in range(gate.UPLOADS):
        assert client.post("/gradio_api/upload", content=b"x").status_code == 200
    refused = client.post("/gradio_api/upload", content=b"x")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "limit")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert other.post("/gradio_api/upload", content=b"x").status_code == 200
    assert other.post("/gradio_api/upload", content=b"x" * (gate.UPLOAD + 1)).status_code == 413
    assert other.post("/who", content=b"x" * (gate.BODY + 1)).status_code == 413
    assert other.post("/who", content=iter([b"x"])).status_code == 411
    assert other.post("/who", headers={"content-length": "-1"}).status_code == 411
    assert other.post("/who").status_code == 200


def test_a_program_in_a_demo_is_known_by_its_token(demo: House) -> None:
    token = demo.app.state.people.token_for("5" * 32)
    owners = {demo.owner(demo.client(), authorization=f"Bearer {token}") for _ in range(2)}
    assert len(owners) == 1
    answer = demo.client().get("/who", headers={"authorization": f"Bearer {token}"})
    assert "set-cookie" not in answer.headers
    assert "set-cookie" in demo.client().get("/who", headers={"authorization": "Bearer nothing"}).headers


def test_no_visitor_makes_the_server_download_a_model(demo: House) -> None:
    demo.owner(client := demo.client())
    own = demo.studio.of(demo.owner(client))
    with pytest.raises(BadRecipe, match="There is no model 'someone/large'"):
        own.submit({**SMALL, "model": "someone/large"})
    assert demo.studio.jobs.active() == []


def test_who_keeps_no_cookie_is_counted_by_address(demo: House) -> None:
    answers = [demo.client().post("/gradio_api/upload", content=b"x").status_code for _ in range(gate.UPLOADS + 1)]
    assert answers == [200] * gate.UPLOADS + [429]
