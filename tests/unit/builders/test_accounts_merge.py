"""Accounts of source and base merged: whose numbers win, who moves, and that no line of the source is touched."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from builders.accounts import TABLES, Merged, from_report, merge, read_tables
from scanner.report import Group, User

Ids = dict[str, int]


def tables(users: Ids, groups: Ids, gids: Ids | None = None) -> dict[str, str]:
    """Tables with these accounts; `gids`: a user's primary group, 0 when not given."""
    return {
        "passwd": "".join(f"{name}:x:{uid}:{(gids or {}).get(name, 0)}:Gecos of {name}:/home/{name}:/bin/sh\n" for name, uid in users.items()),
        "group": "".join(f"{name}:x:{gid}:\n" for name, gid in groups.items()),
        "shadow": "".join(f"{name}:*:19000:0:99999:7:::\n" for name in users),
        "gshadow": "".join(f"{name}:*::\n" for name in groups),
    }


def ids(table: str) -> Ids:
    return {row[0]: int(row[2]) for row in (line.split(":") for line in table.splitlines())}


def test_an_account_of_both_keeps_the_sources_line() -> None:
    source, base = tables({"www-data": 33}, {"www-data": 33}), tables({"www-data": 33}, {"www-data": 33})
    source["shadow"] = "www-data:$y$hash:19001:1:2:3:::\n"
    source["passwd"] = "www-data:x:33:33:Ours:/srv:/bin/bash\n"
    assert merge(source, base).tables == source


def test_an_account_of_the_base_alone_is_added_after_the_sources() -> None:
    merged = merge(tables({"root": 0}, {"root": 0}), tables({"root": 0, "sshd": 105}, {"root": 0, "kvm": 110}))
    assert ids(merged.tables["passwd"]) == {"root": 0, "sshd": 105}
    assert ids(merged.tables["group"]) == {"root": 0, "kvm": 110}
    assert merged.tables["shadow"].splitlines()[-1].startswith("sshd:*:")
    assert merged.tables["gshadow"].splitlines()[-1].startswith("kvm:")
    assert (merged.moved_uids, merged.moved_gids) == ({}, {})


def test_a_base_account_whose_number_the_source_uses_moves_and_its_files_are_told() -> None:
    merged = merge(tables({"app": 105}, {"app": 110}), tables({"sshd": 105, "chrony": 106}, {"kvm": 110}, gids={"sshd": 110}))
    found = ids(merged.tables["passwd"])
    assert (found["app"], found["chrony"]) == (105, 106)
    assert found["sshd"] not in (105, 106)
    assert 100 <= found["sshd"] < 1000
    assert merged.moved_uids == {105: found["sshd"]}
    assert merged.moved_gids == {110: ids(merged.tables["group"])["kvm"]}
    primary = next(line for line in merged.tables["passwd"].splitlines() if line.startswith("sshd:")).split(":")[3]
    assert int(primary) == merged.moved_gids[110]


def test_one_name_with_two_numbers_takes_the_sources_and_the_bases_files_follow() -> None:
    merged = merge(tables({"messagebus": 107}, {"messagebus": 112}), tables({"messagebus": 100}, {"messagebus": 101}))
    assert ids(merged.tables["passwd"]) == {"messagebus": 107}
    assert (merged.moved_uids, merged.moved_gids) == ({100: 107}, {101: 112})


def test_numbers_that_two_names_swapped_are_both_told() -> None:
    merged = merge(tables({"a": 101, "b": 102}, {}), tables({"a": 102, "b": 101}, {}))
    assert merged.moved_uids == {102: 101, 101: 102}


def test_bytes_that_are_no_text_survive(tmp_path: Path) -> None:
    raw = b"jos:x:1000:1000:Jos\xe9 \xff:/home/jos:/bin/sh\n"
    (tmp_path / "passwd").write_bytes(raw)
    merged = merge(read_tables(tmp_path), tables({"sshd": 105}, {}))
    assert merged.tables["passwd"].encode(errors="surrogateescape").startswith(raw + b"sshd:")


def test_lines_that_are_no_accounts_stay_and_disturb_nobody() -> None:
    source = tables({"root": 0}, {"root": 0})
    strange = "# users:of:ours\n+::::::\n\nnext\x85line:x:1001:1001:a\x85b:c:d\x0b:e:/bin/sh\n"
    source["passwd"] += strange
    merged = merge(source, tables({"sshd": 1001, "root": 0}, {}))
    assert merged.tables["passwd"].startswith(source["passwd"])
    assert merged.moved_uids[1001] != 1001


def test_a_source_table_without_a_last_line_end_loses_no_account() -> None:
    source = tables({"root": 0, "app": 1000}, {"root": 0})
    source["passwd"] = source["passwd"].rstrip("\n")
    merged = merge(source, tables({"sshd": 105}, {}))
    assert ids(merged.tables["passwd"]) == {"root": 0, "app": 1000, "sshd": 105}


def test_a_table_that_is_absent_or_a_link_is_empty(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("evil:x:0:0:::\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").symlink_to("../outside")
    assert read_tables(tmp_path / "etc") == dict.fromkeys(TABLES, "")


def test_accounts_of_a_simple_scan_are_all_locked() -> None:
    users = [User(name="app", uid=1000, gid=1001, gecos="App,,,", home="/srv/app", shell="/bin/bash", password="set")]  # noqa: S604
    found = from_report(users, [Group(name="app", gid=1001, members=["www-data", "root"])])
    assert found["passwd"] == "app:x:1000:1001:App,,,:/srv/app:/bin/bash\n"
    assert found["group"] == "app:x:1001:www-data,root\n"
    assert found["shadow"].split(":")[1] == "!"
    assert len(found["shadow"].split(":")) == 9
    assert len(found["gshadow"].split(":")) == 4


NAMES = st.sampled_from([f"user{number}" for number in range(12)])
SOURCE = st.dictionaries(NAMES, st.integers(0, 130), max_size=12)
BASE = st.lists(NAMES, unique=True, max_size=12).flatmap(
    lambda names: st.lists(st.integers(95, 130), unique=True, min_size=len(names), max_size=len(names)).map(lambda found: dict(zip(names, found, strict=True)))
)


@settings(deadline=None)
@given(SOURCE, SOURCE, BASE, BASE)
def test_no_two_names_share_a_number_unless_they_did_on_the_source(users: Ids, groups: Ids, base_users: Ids, base_groups: Ids) -> None:
    source = tables(users, groups)
    merged = merge(source, tables(base_users, base_groups))
    for table, ours, theirs, moved in (("passwd", users, base_users, merged.moved_uids), ("group", groups, base_groups, merged.moved_gids)):
        found = ids(merged.tables[table])
        assert found.keys() == ours.keys() | theirs.keys()
        assert {name: found[name] for name in ours} == ours
        for name in theirs.keys() - ours.keys():
            assert [other for other, number in found.items() if number == found[name]] == [name]
        # Whoever owned a file of the base by number owns it still, by its number now.
        assert {name: moved.get(number, number) for name, number in theirs.items()} == {name: found[name] for name in theirs}


LINES = st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=())).map(lambda text: text.encode(errors="surrogatepass")), max_size=6)


@settings(deadline=None)
@given(LINES, BASE)
def test_every_byte_of_the_source_survives_whatever_it_is(lines: list[bytes], base: Ids) -> None:
    raw = b"".join(line + b"\n" for line in lines)
    source = dict.fromkeys(TABLES, raw.decode(errors="surrogateescape"))
    merged: Merged = merge(source, tables(base, base))
    for table in TABLES:
        assert merged.tables[table].encode(errors="surrogateescape").startswith(raw)
