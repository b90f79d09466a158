"""Real settings and what becomes of each: ``connection_strings.yaml`` beside this file says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from devcluster.rules.container.environment import rewrite_hosts
from devcluster.rules.names.certificates import CERTIFICATE, HOST_KEY, HTTP
from devcluster.rules.names.variables import COMPARED, OWN

TABLE = yaml.safe_load(Path(__file__).with_suffix("").with_name("connection_strings.yaml").read_text())
REASONS = {"certificate": CERTIFICATE, "host-key": HOST_KEY, "http": HTTP, "compared": COMPARED, "own": OWN}
ROWS = TABLE["rows"]


def rewrite(env: dict[str, str]) -> tuple[dict[str, str], Any]:
    return rewrite_hosts(env, services=TABLE["services"], namespace="shop")


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['of']}-{row['name']}-{row['value']}" for row in ROWS])
def test_each_setting_becomes_what_the_table_says(row: dict[str, Any]) -> None:
    env = row.get("beside", {}) | {row["name"]: row["value"]}
    after, made = rewrite(env)
    assert after[row["name"]] == row.get("becomes", row["value"])
    mine = [it for it in made if it.where == row["name"]]
    assert {it.kept for it in mine if it.kept} == {REASONS[it] for it in [row.get("kept")] if it}
    assert any(it.to for it in mine) == ("becomes" in row)
    assert all(bool(it.to) != bool(it.kept) for it in mine)
    if "untouched" in row:
        assert mine == []


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_second_time_changes_nothing(row: dict[str, Any]) -> None:
    once, _ = rewrite(row.get("beside", {}) | {row["name"]: row["value"]})
    twice, made = rewrite(once)
    assert twice == once
    assert not any(it.to for it in made)


def test_the_table_is_large_enough_and_says_each_thing_once() -> None:
    assert len(ROWS) >= 120
    said = [(row["name"], row["value"], str(row.get("beside"))) for row in ROWS]
    assert len(set(said)) == len(said)
    for row in ROWS:
        assert row.keys() <= {"of", "name", "value", "beside", "becomes", "kept", "untouched", "why"}
        assert {"becomes", "kept", "untouched"} & row.keys()


# Letters that a password in a URL may hold unescaped, and words that look like hosts.
PASSWORDS = st.lists(st.sampled_from(["db", "redis", "x", "1", "%40", *"-._~!$*+=:"]), min_size=1).map(
    "".join
)


@given(
    st.sampled_from(
        [
            "postgres://db:{}@db/db",
            "mongodb://u:{}@db,redis/x",
            "amqp://u:{}@db;u:{}@redis",
            "db:{}@tcp(db:3306)/db",
            "jdbc:mysql://db/x?user=db&password={}",
            "redis://:{}@redis:6379",
        ]
    ),
    PASSWORDS,
)
def test_a_password_never_changes(form: str, password: str) -> None:
    after, _ = rewrite({"X": form.replace("{}", password)})
    assert after["X"].replace("@db.shop", "@db").count(password) >= form.count("{}")
    changed = rewrite({"X": form.replace("{}", "pw")})[0]["X"]
    assert after["X"] in (form.replace("{}", password), changed.replace("pw", password))


@given(st.sampled_from(["DB_PASSWORD", "API_TOKEN", "COOKIE_SECRET"]), PASSWORDS)
def test_a_secret_is_never_read(name: str, value: str) -> None:
    for secret in (value, f"no_proxy={value}", f"no_proxy=db {value}"):
        assert rewrite({name: secret, "DB_HOST": "db"})[0][name] == secret


WORDS = st.sampled_from(["://", "host", "tls", "true", "3306", "é", "\n", *"x:@/,;=() ?#.-'\"[]|$&\\{}"])


@given(
    st.text(), st.dictionaries(st.sampled_from(["X", "DB_SSLMODE", "NO_PROXY"]), st.lists(WORDS).map("".join))
)
def test_what_names_no_service_never_changes(key: str, env: dict[str, str]) -> None:
    before = env | {key: "http://other:80"}
    after, made = rewrite(before)
    assert after == before
    assert made == ()
