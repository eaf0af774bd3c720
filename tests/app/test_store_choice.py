import asyncio
from pathlib import Path, PureWindowsPath
from typing import Any, cast

import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.app import store_choice
from chatnest.app.config import ChatNestConfig
from chatnest.app.store_choice import (
    StoreChoice,
    StoreKind,
    choose_store,
    open_store,
    read_store_url,
    sqlite_url,
)
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.ports import LedgerStore

MEMORY, SQLITE, POSTGRES, REDIS = StoreKind


def opened(url: str) -> LedgerStore:
    return open_store(read_store_url(url), SystemClock(), SystemRandomness(SystemClock()))


def refusal(url: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_store_url(url)
    return str(caught.value)


class TestReading:
    @pytest.mark.parametrize(
        ("url", "choice"),
        [
            ("memory://", (MEMORY, "memory://")),
            ("sqlite:///ledger.db", (SQLITE, "ledger.db")),
            ("sqlite:///a/b@c.db", (SQLITE, "a/b@c.db")),
            ("sqlite:////var/lib/ledger.db", (SQLITE, "/var/lib/ledger.db")),
            ("sqlite:///C:/Users/ada/ledger.db", (SQLITE, "C:/Users/ada/ledger.db")),
            ("sqlite:///C:\\Users\\ada\\ledger.db", (SQLITE, "C:\\Users\\ada\\ledger.db")),
            ("sqlite:////my%20data/what%3F%25.db", (SQLITE, "/my data/what?%.db")),
            ("sqlite:////données/#1.db", (SQLITE, "/données/#1.db")),
            ("SQLite:///ledger.db", (SQLITE, "ledger.db")),
            ("postgresql://u:p@h:5/d", (POSTGRES, "postgresql://u:p@h:5/d")),
            ("postgres://h/d", (POSTGRES, "postgresql://h/d")),
            ("postgresql:///d?host=/run/pg", (POSTGRES, "postgresql:///d?host=/run/pg")),
            ("postgresql://u@a:1,b:2/d", (POSTGRES, "postgresql://u@a:1,b:2/d")),
            ("postgresql://[::1]:5/d", (POSTGRES, "postgresql://[::1]:5/d")),
            ("postgresql://u:p%40%2F@h/d", (POSTGRES, "postgresql://u:p%40%2F@h/d")),
            ("redis://", (REDIS, "redis://")),
            ("rediss://:p@h:6380/1", (REDIS, "rediss://:p@h:6380/1")),
            ("redis+cluster://h:1", (REDIS, "redis+cluster://h:1")),
            ("rediss+cluster://h:1", (REDIS, "rediss+cluster://h:1")),
            ("valkey+cluster://h:1", (REDIS, "redis+cluster://h:1")),
            ("valkeys+cluster://h:1", (REDIS, "rediss+cluster://h:1")),
            ("unix:///run/redis.sock?db=1", (REDIS, "unix:///run/redis.sock?db=1")),
            ("valkey://h/0", (REDIS, "redis://h/0")),
            ("valkeys://h/0", (REDIS, "rediss://h/0")),
        ],
    )
    def test_each_url_means_one_store_at_one_address(
        self, url: str, choice: tuple[StoreKind, str]
    ) -> None:
        assert read_store_url(url) == StoreChoice(*choice, ledger="chatnest")

    @pytest.mark.parametrize(
        ("query", "address", "ledger"),
        [
            ("?ledger=shop", "", "shop"),
            ("?ledger=_s2", "", "_s2"),
            (f"?ledger={'a' * 41}", "", "a" * 41),
            ("?ledger=shop&sslmode=require&x=%20", "?sslmode=require&x=%20", "shop"),
            ("?sslmode=require&ledger=shop", "?sslmode=require", "shop"),
            ("?sslmode=require&flag", "?sslmode=require&flag", "chatnest"),
            ("?", "", "chatnest"),
        ],
    )
    @pytest.mark.parametrize("base", ["postgresql://h/d", "redis://h/0"])
    def test_the_ledgers_name_is_taken_off_and_other_options_stay_as_they_were(
        self, base: str, query: str, address: str, ledger: str
    ) -> None:
        choice = read_store_url(base + query)
        assert (choice.address, choice.ledger) == (base + address, ledger)

    @pytest.mark.parametrize(
        ("url", "why"),
        [
            ("nowhere://", "there is no store 'nowhere://'. Use memory://, sqlite:///ledger.db, "),
            ("", "there is no store ''. Use memory://"),
            ("ledger.db", "there is no store 'ledger.db'. Use memory://"),
            ("sqlite:ledger.db", "there is no store 'sqlite:ledger.db'. Use "),
            ("memory://x", "memory:// takes nothing after it. Write memory:// alone."),
            ("sqlite://", "sqlite:// needs three slashes, and four before a full path. Write "),
            ("sqlite://ledger.db", "sqlite:// needs three slashes"),
            ("sqlite://var/ledger.db", "sqlite:// needs three slashes"),
            ("sqlite:///", "sqlite:// must name a file. Write sqlite:///ledger.db for a file here"),
            ("sqlite:////var/lib/", "sqlite:// must name a file."),
            ("sqlite:///a%00b", "sqlite:// must name a file."),
            ("sqlite:///a%ff.db", "the file's name is not UTF-8 where it has %."),
            ("sqlite:///a.db?mode=ro", "sqlite:// takes no options (a ? in a name is %3F)."),
            ("sqlite:///:memory:", "a SQLite file is needed. Write memory:// for accounts in "),
            ("redis://h:port/0", "the host or port of the redis URL cannot be read. Write the "),
            ("redis://:1/2@h", "the host or port of the redis URL cannot be read."),
            ("redis://:1?2@h/0#3", "the host or port of the redis URL cannot be read."),
            ("redis://h:70000/0", "the host or port of the redis URL cannot be read."),
            ("postgresql://[::1/d", "the host or port of the postgres URL cannot be read."),
            *(
                (f"redis://h?ledger={name}", "?ledger= must be one name of at most 41 small ")
                for name in ("", "Shop", "1a", "a-b", "a%20b", "a" * 42, "a\n", "a&ledger=a")
            ),
        ],
    )
    def test_what_is_no_store_is_refused_with_how_it_should_look(self, url: str, why: str) -> None:
        assert refusal(url).startswith(f"store: {why}")

    @pytest.mark.parametrize(
        "url",
        [
            "mysql://me:s3cret@host/d",
            "postgresql://me:s3cret/s3cret@host/d",
            "postgresql://me:s3cret?s3cret@host/d",
            "postgresql://me:s3cret#s3cret@host/d",
            "redis://:s3cret:s3cret@host:x",
            "redis://:s3cret@host?ledger=No",
            "me:s3cret@host",
        ],
    )
    def test_no_refusal_shows_a_password(self, url: str) -> None:
        assert "s3cret" not in refusal(url)


class TestShowing:
    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("memory://", "memory://"),
            ("sqlite:////my%20data/l.db", "sqlite:////my%20data/l.db"),
            ("postgres://me:s3cret@h/d?ledger=shop&sslcert=s3cret", "postgresql://h/d?ledger=shop"),
            ("redis://:s3cret@h/0?ledger=chatnest", "redis://h/0"),
        ],
    )
    def test_people_see_where_accounts_are_without_credentials(self, url: str, shown: str) -> None:
        assert read_store_url(url).shown == shown

    @pytest.mark.parametrize("name", ["ledger.db", "/a b/l%.db", "/données/#1?.db", "a@b.db"])
    def test_the_url_of_a_file_leads_back_to_it(self, name: str) -> None:
        assert read_store_url(sqlite_url(Path(name))).address == name

    def test_the_url_of_a_windows_file_has_its_drive(self) -> None:
        file = PureWindowsPath("C:\\Users\\ada lovelace\\ledger.db")
        url = sqlite_url(cast(Any, file))
        assert url == "sqlite:///C:/Users/ada%20lovelace/ledger.db"
        assert PureWindowsPath(read_store_url(url).address) == file


class TestChoosing:
    def test_an_application_that_names_no_store_keeps_accounts_in_memory(self) -> None:
        assert choose_store(ChatNestConfig()).kind is MEMORY
        assert choose_store(ChatNestConfig(store="sqlite:///x.db")).kind is SQLITE

    def test_only_memory_is_not_shared_between_processes(self) -> None:
        urls = ("memory://", "sqlite:///x.db", "postgresql://h/d", "redis://h")
        assert [read_store_url(url).is_shared for url in urls] == [False, True, True, True]


class TestOpening:
    @pytest.mark.parametrize(
        ("url", "kind"),
        [
            ("memory://", "memory.MemoryStore"),
            ("sqlite:///x.db", "sqlite.SqliteStore"),
            ("postgresql://h/d", "postgres.PostgresStore"),
            ("valkey://h", "redis.RedisStore"),
        ],
    )
    def test_each_kind_is_its_store_and_connects_to_nothing(
        self, url: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        store = opened(url)
        assert f"{type(store).__module__}.{type(store).__name__}".endswith(f"storage.{kind}")
        asyncio.run(store.aclose())
        assert list(tmp_path.iterdir()) == []

    def test_the_users_own_folder_is_made_for_this_user_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        asyncio.run(opened(store_choice.user_store_url()).aclose())
        assert (tmp_path / "data" / "chatnest").stat().st_mode & 0o777 == 0o700

    def test_a_users_folder_that_cannot_be_made_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "data").write_text("no folder")
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        with pytest.raises(ConfigurationError, match=r"cannot be made .* with --store sqlite:"):
            opened(store_choice.user_store_url())

    @pytest.mark.parametrize(
        ("url", "store", "arguments"),
        [
            (
                "sqlite:////a%20b/l.db",
                "chatnest.app.store_choice.SqliteStore",
                ((Path("/a b/l.db"),), {}),
            ),
            (
                "postgres://u:p@h/d?ledger=shop&sslmode=require",
                "chatnest.adapters.storage.postgres.PostgresStore",
                (("postgresql://u:p@h/d?sslmode=require",), {"ledger": "shop"}),
            ),
            (
                "valkeys://h/1?ledger=shop",
                "chatnest.adapters.storage.redis.RedisStore",
                (("rediss://h/1",), {"ledger": "shop"}),
            ),
        ],
    )
    def test_a_store_is_given_its_address_and_its_ledger(
        self,
        url: str,
        store: str,
        arguments: tuple[tuple[str | Path], dict[str, str]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        made: list[object] = []

        def make(address: str | Path, *rest: object, **options: object) -> None:
            made.append(((address,), options))

        monkeypatch.setattr(store, make)
        opened(url)
        assert made == [arguments]

    @pytest.mark.parametrize(
        ("url", "sentence"),
        [
            ("postgresql://h/d", "asyncpg is not installed; run pip install 'chatnest[postgres]'."),
            ("valkey://h", "redis is not installed; run pip install 'chatnest[redis]'."),
        ],
    )
    def test_a_driver_that_is_not_installed_is_named_with_what_installs_it(
        self, url: str, sentence: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_choice, "find_spec", lambda module: None)
        with pytest.raises(ConfigurationError) as caught:
            opened(url)
        assert str(caught.value) == f"store: {sentence}"
