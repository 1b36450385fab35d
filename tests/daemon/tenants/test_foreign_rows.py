"""The users' own software writes these rows too: other types, several rows of a name, and changes by SQL."""

from __future__ import annotations

import pytest

from actors.errors import Conflict, Missing
from daemon.ledger import Closing, migrate
from daemon.ledger.rights import check_rights
from tests.daemon.tenants.conftest import BY, Node, Nodes
from tests.support.ledgers import LedgerWorld, open_postgres
from tests.support.platforms import as_role, create_role

OTHER_TYPES = """
    ALTER TABLE whatsapp_instances ALTER id DROP IDENTITY;
    ALTER TABLE whatsapp_instances ALTER id TYPE uuid USING gen_random_uuid(), ALTER id SET DEFAULT gen_random_uuid(),
        ALTER instance_name TYPE varchar(80), ALTER escalation_enabled DROP DEFAULT,
        ALTER escalation_threshold DROP DEFAULT;
    ALTER TABLE whatsapp_instances ALTER escalation_enabled TYPE smallint USING 1,
        ALTER escalation_threshold TYPE text USING '3', ALTER escalation_keywords TYPE text USING NULL,
        ALTER escalated_message TYPE varchar(20), ALTER fallback_message TYPE json USING NULL;
    ALTER TABLE whatsapp_ai_config ALTER whatsapp_instance_id TYPE uuid USING NULL, ALTER created_at DROP DEFAULT,
        ALTER system_prompt TYPE jsonb USING NULL;
    ALTER TABLE whatsapp_webhook_config ALTER whatsapp_instance_id TYPE uuid USING NULL;
"""


async def test_values_are_written_in_the_columns_own_types(nodes: Nodes) -> None:
    here, _, world = nodes
    for statement in OTHER_TYPES.split(";"):
        if statement.strip():
            await world.rows(statement)
    await world.db.renew()  # sessions keep the types of columns that they have seen
    await world.rows(
        "UPDATE whatsapp_instances SET escalation_keywords = '{manager,مدير}', escalated_message = 'soon'"
    )
    values = {
        "prompt": 'He said "نعم"\n{} [1]',
        "escalation.enabled": False,
        "escalation.threshold": 4,
        "escalation.keywords": ["a, b", "مدير"],
        "escalation.message": "a person",
        "responder.fallback_message": "later",
        "webhook_url": "https://shop.example/hook",
    }
    first = await here.tenants.state("demo")
    await here.tenants.change("demo", values, (), BY)
    record = await world.lookups.instance("demo")
    assert record.system_prompt == values["prompt"] and record.escalated_message == "a person"
    assert (record.escalation_enabled, record.escalation_threshold) == (False, 4)
    assert record.escalation_keywords == ("a, b", "مدير"), "written as the column had it"
    assert (await here.values("demo"))["responder.fallback_message"][0] == "later"
    before = await here.tenants.state("demo")
    with pytest.raises(Conflict, match="the value is too long for the column of the shared table"):
        await here.tenants.change("demo", {"escalation.message": "x" * 21, "prompt": "other"}, (), BY)
    assert await here.tenants.state("demo") == before, "nothing is changed"
    await here.tenants.restore("demo", first.version, BY)
    assert (await here.tenants.state("demo")).state == first.state
    await here.tenants.restore("demo", before.version, BY)
    assert (await here.tenants.state("demo")).state == before.state
    await world.rows(
        "UPDATE whatsapp_instances SET escalation_threshold = '-5', escalation_keywords = 'a; b'"
    )
    world.lookups.forget()
    record, shown = await world.lookups.instance("demo"), await here.values("demo")
    assert (record.escalation_threshold, record.escalation_keywords) == (3, ("a", "b"))
    assert shown["escalation.keywords"][0] == "[a, b]", "what is in force is shown, however it is spelled"
    assert shown["escalation.threshold"][0] == "3" and shown["escalation.threshold"][1].startswith(
        "default; "
    )


async def test_the_very_row_that_is_read_is_written_and_no_other(nodes: Nodes) -> None:
    """Of rows that are as old as each other the one last written is read, and a write may change which that is."""
    here, _, world = nodes
    await world.rows(
        "INSERT INTO whatsapp_instances (instance_name, is_active)"
        " VALUES ('twice', false), ('twice', true), ('twice', true)"
    )
    await world.rows(
        "INSERT INTO whatsapp_ai_config (system_prompt) SELECT 'gone' FROM generate_series(1, 20)"
    )
    await world.rows(
        "INSERT INTO whatsapp_ai_config (whatsapp_instance_id, is_active, created_at, system_prompt)"
        " SELECT i.id, x.is_active, x.at, x.prompt FROM whatsapp_instances i,"
        " (VALUES (true, NULL::timestamptz, 'old'), (false, now() + interval '1 day', 'off'), (NULL, NULL, 'other'))"
        " AS x (is_active, at, prompt)"
        " WHERE i.id = (SELECT min(id) FROM whatsapp_instances WHERE instance_name = 'twice' AND is_active)"
    )
    await world.rows("DELETE FROM whatsapp_ai_config WHERE system_prompt = 'gone'")
    await world.rows("VACUUM whatsapp_ai_config")  # the next version of a row comes before the others
    read = (await world.lookups.instance("twice")).system_prompt
    for turn in range(12):
        await here.tenants.change("twice", {"prompt": f"p{turn}", "escalation.threshold": turn + 1}, (), BY)
        world.lookups.forget()
        record = await world.lookups.instance("twice")
        assert (record.system_prompt, record.escalation_threshold) == (f"p{turn}", turn + 1)
    prompts = [
        row["system_prompt"]
        for row in await world.rows("SELECT system_prompt FROM whatsapp_ai_config ORDER BY 1")
    ]
    assert read == "other" and "off" in prompts and "p11" in prompts
    thresholds = await world.rows(
        "SELECT coalesce(escalation_threshold, 0) AS t FROM whatsapp_instances WHERE instance_name = 'twice' ORDER BY 1"
    )
    assert [row["t"] for row in thresholds] == [3, 3, 12]
    active = await here.tenants.state("twice")
    await here.tenants.change("twice", {"active": False}, (), BY)
    world.lookups.forget()
    assert (await world.lookups.instance("twice")).rule == "inactive_instance"
    await here.tenants.change("twice", {"active": True}, (), BY)
    assert (await here.tenants.state("twice")).state.row == active.state.row, "the one that was read before"


async def test_a_change_by_sql_is_a_version_and_in_force_everywhere(nodes: Nodes) -> None:
    here, there, world = nodes
    await here.changes.look()
    await there.changes.look()
    for statement, key, after in (
        ("INSERT INTO whatsapp_ai_config (whatsapp_instance_id, system_prompt) SELECT id, 'sql' FROM whatsapp_instances"
         " WHERE instance_name = 'demo'", "prompt", "sql"),
        ("UPDATE whatsapp_ai_config SET system_prompt = 'more'", "prompt", "more"),
        ("UPDATE whatsapp_instances SET escalation_threshold = 9 WHERE instance_name = 'demo'",
         "escalation.threshold", 9),
        ("INSERT INTO majlis_settings VALUES ('instance:demo', 'batching.window_seconds', '5')",
         "batching.window_seconds", 5),
        ("INSERT INTO majlis_flags VALUES ('instance:demo', 'cache', false)", "flags.cache", False),
        ("INSERT INTO whatsapp_webhook_config (whatsapp_instance_id, webhook_url) SELECT id, 'https://x'"
         " FROM whatsapp_instances WHERE instance_name = 'demo'", "webhook_url", "https://x"),
        ("UPDATE whatsapp_ai_config SET is_active = false", "active", False),
        ("DELETE FROM majlis_settings", "batching.window_seconds", None),
    ):  # fmt: skip
        await world.rows(statement)
        await here.changes.look()
        await there.changes.look()
        version, changes = (await there.tenants.history("demo", 1))[0]
        assert version.made_by == "SQL" and [(one.key, one.after) for one in changes] == [(key, after)]
        for node in (here, there):
            assert node.told.pop() == (frozenset({"demo"}), frozenset()) and not node.told
    assert there.flags.of("demo").cache is False
    await world.rows("UPDATE whatsapp_instances SET created_at = now() WHERE instance_name = 'demo'")
    await here.changes.look()
    assert not here.told, "what is none of our values is no version"
    await world.rows("DELETE FROM whatsapp_instances WHERE instance_name = 'demo'")
    await world.rows("INSERT INTO whatsapp_instances (instance_name) VALUES ('new')")
    await there.changes.look()
    assert there.told == [(frozenset({"demo", "new"}), frozenset({"new"}))]
    assert "new" in there.known and "demo" not in there.changes.names


async def test_a_change_on_top_of_one_by_sql_overwrites_nothing_unseen(nodes: Nodes) -> None:
    here, _, world = nodes
    await here.tenants.change("demo", {"prompt": "ours"}, (), BY)
    await world.rows("UPDATE whatsapp_instances SET escalation_threshold = 9 WHERE instance_name = 'demo'")
    done = await here.tenants.change("demo", {"prompt": "again"}, (), BY)
    (last, changes), (sql, theirs), *_ = await here.tenants.history("demo", 5)
    assert (last.version, last.made_by, [one.key for one in changes]) == (done.version, BY, ["prompt"])
    assert (sql.made_by, [(one.key, one.after) for one in theirs]) == ("SQL", [("escalation.threshold", 9)])


@pytest.mark.parametrize(
    ("setup", "words"),
    [
        (
            "ALTER TABLE whatsapp_ai_config ADD COLUMN model text NOT NULL",
            "requires a value that Majlis does not know",
        ),
        (
            "ALTER TABLE whatsapp_ai_config ADD CONSTRAINT short CHECK (length(system_prompt) < 3)",
            "a check of the shared table",
        ),
        (
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the key s3cret'; END $$;"
            "CREATE TRIGGER no BEFORE INSERT ON whatsapp_ai_config FOR EACH ROW EXECUTE FUNCTION no()",
            "a trigger of the shared table refuses it",
        ),
    ],
)
async def test_what_their_tables_refuse_is_a_sentence_and_nothing_is_changed(
    nodes: Nodes, setup: str, words: str
) -> None:
    here, _, world = nodes
    for statement in setup.split(";CREATE TRIGGER"):
        await world.rows(
            statement if statement.startswith(("CREATE", "ALTER")) else f"CREATE TRIGGER{statement}"
        )
    before = await here.tenants.state("demo")
    with pytest.raises(Conflict, match="Nothing is changed") as refused:
        await here.tenants.change("demo", {"hours": ["sun-thu 09:00-22:00"], "prompt": "hello"}, (), BY)
    assert words in str(refused.value) and "s3cret" not in str(refused.value)
    assert await here.tenants.state("demo") == before
    with pytest.raises(Conflict, match="Nothing is changed"):
        await here.tenants.add("new", {"prompt": "hello"}, BY)
    assert not await world.rows("SELECT FROM whatsapp_instances WHERE instance_name = 'new'")


async def test_without_the_rights_only_these_commands_fail_and_name_the_grant(
    nodes: Nodes, migrated_postgres_dsn: str
) -> None:
    db = nodes.db
    await create_role(db, "limited")
    await migrate(db, closing=Closing(("limited",)))
    await db.fetch("REVOKE UPDATE ON whatsapp_instances, whatsapp_ai_config FROM limited")
    async with open_postgres(as_role(migrated_postgres_dsn, "limited")) as limited:
        assert await check_rights(limited) is None, "the daemon starts"
        node = Node(LedgerWorld(limited), "node-c")
        await node.changes.look()
        await node.tenants.change("demo", {"batching.window_seconds": 5}, (), BY)
        with pytest.raises(Conflict) as refused:
            await node.tenants.change("demo", {"escalation.threshold": 5}, (), BY)
        grant = str(refused.value).split("`")[1]
        assert grant == (
            "GRANT UPDATE ON public.whatsapp_ai_config TO limited; "
            "GRANT UPDATE ON public.whatsapp_instances TO limited;"
        )
        for statement in grant.split(";")[:-1]:
            await db.fetch(statement)
        await node.tenants.change("demo", {"escalation.threshold": 5}, (), BY)
        await db.fetch("CREATE POLICY no ON whatsapp_instances AS RESTRICTIVE FOR UPDATE USING (false)")
        with pytest.raises(Conflict, match="Row-level security or a trigger keeps it"):
            await node.tenants.change("demo", {"escalation.threshold": 6}, (), BY)


GONE = "DELETE FROM whatsapp_instances WHERE instance_name = 'shop'"


@pytest.mark.parametrize("settings", [{}, {"mode": "off", "flags.cache": False, "prompt": "former"}])
async def test_a_row_that_sql_deletes_is_a_removal_and_adding_begins_anew(
    nodes: Nodes, settings: dict[str, object]
) -> None:
    here, there, world = nodes
    added = await here.tenants.add("shop", settings, BY)
    assert added.former == 0
    await there.changes.look()
    await world.rows(GONE)
    await there.changes.look()
    await here.changes.look()
    (version, _), *_ = await here.tenants.history("shop", 9)
    assert (version.version, version.what, version.made_by) == (2, "remove", "SQL")
    assert "shop" not in here.known and "shop" not in there.known
    with pytest.raises(Missing):
        await here.tenants.view("shop")
    again = await here.tenants.add("shop", {"prompt": "new"}, BY)
    await there.changes.look()
    assert again.former == 1, "the version to go back to"
    state = (await here.tenants.state("shop")).state
    assert (state.settings, state.flags, state.columns["prompt"]) == ({}, {}, "new")
    assert there.live.terms("shop").mode == "live" and there.flags.of("shop").cache
    await here.tenants.restore("shop", 1, BY)
    assert here.live.terms("shop").mode == settings.get("mode", "live")
    await world.rows(GONE)
    if settings:  # what is left of it can be removed for good
        await here.tenants.remove("shop", BY)
        assert await world.rows("SELECT 1 FROM majlis_settings WHERE scope = 'instance:shop'") == []
    with pytest.raises(Missing):
        await here.tenants.remove("shop", BY)


async def test_a_row_that_comes_back_by_sql_or_by_going_back_has_what_was_set(nodes: Nodes) -> None:
    """Software that deletes a row and inserts it anew must not have an instance answered that is in another mode."""
    here, there, world = nodes
    await here.tenants.add("shop", {"mode": "shadow", "prompt": "former"}, BY)
    await world.rows(GONE)
    await there.changes.look()
    await world.rows("INSERT INTO whatsapp_instances (instance_name) VALUES ('shop')")
    await there.changes.look()
    (version, changes), *_ = await there.tenants.history("shop", 9)
    assert (version.what, version.made_by) == ("add", "SQL")
    assert ("mode", "shadow") in {(one.key, one.after) for one in changes}, "it is said"
    assert there.live.terms("shop").mode == "shadow"
    await world.rows(GONE)
    done = await here.tenants.restore("shop", 1, BY)
    assert done.version == version.version + 2, "the removal has a version of its own"
    assert here.live.terms("shop").mode == "shadow"
    assert (await world.lookups.instance("shop")).system_prompt == "former"


async def test_what_sql_writes_before_an_instance_is_added_applies(nodes: Nodes) -> None:
    here, _, world = nodes
    await world.rows("INSERT INTO majlis_settings VALUES ('instance:shop', 'mode', '\"off\"')")
    await here.tenants.add("shop", {}, BY)
    assert here.live.terms("shop").mode == "off"
