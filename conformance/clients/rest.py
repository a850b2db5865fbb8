"""Cases of /rest/v1 by the PyPI package supabase. usage: rest.py URL ANON_KEY SERVICE_KEY"""
import sys

from postgrest.exceptions import APIError
from supabase import create_client

url, anon_key, service_key = sys.argv[1:4]
lab = create_client(url, anon_key)
lab.postgrest.schema("lab")
lab = lab.schema("lab")
service = create_client(url, service_key).schema("lab")
cases = []


def case(run):
    cases.append(run)
    return run


def houses(columns="id"):
    return lab.table("houses").select(columns)


def ids(request):
    return sorted(row["id"] for row in request.execute().data)


def refused(request, code):
    try:
        request.execute()
    except APIError as error:
        assert error.code == code, error
        return error
    raise AssertionError("it was not refused")


@case
def select_and_order():
    assert houses("title:name").eq("id", 1).execute().data == [{"title": "Ash"}]
    assert [row["id"] for row in houses().order("price", desc=True, nullsfirst=False).execute().data] == [2, 1, 3, 4]
    assert ids(houses().order("id").range(1, 2)) == [2, 3]
    assert ids(houses().order("id").limit(1)) == [1]


@case
def filters():
    for request, expect in [
        (houses().neq("name", "Ash"), [2, 3, 4]),
        (houses().gte("price", 300).lte("price", 500), [1, 2]),
        (houses().ilike("name", "%D%"), [3, 4]),
        (houses().like_any_of("name", "A%,C%"), [1, 3]),
        (houses().is_("price", "null"), [4]),
        (houses().in_("name", ["Ash", "a,b", 'x"y']), [1]),
        (houses().contains("tags", ["garden", "old"]), [1]),
        (houses().contained_by("tags", ["garden", "x"]), [2, 3]),
        (houses().overlaps("tags", ["old", "new"]), [1, 4]),
        (houses().range_gt("let_during", ["2020-01-01", "2021-01-01"]), [2, 4]),
        (houses().text_search("note", "'quiet' & 'street'"), [2]),
        (houses().not_.in_("id", [1, 2]), [3, 4]),
        (houses().or_("id.eq.4,and(price.gt.250,price.lt.400)"), [1, 4]),
        (houses().match({"name": "Ash", "city_id": 1}), [1]),
        (houses().eq("facts->>beds", 3), [1]),
    ]:
        assert ids(request) == expect, (str(request.request.params), ids(request), expect)


@case
def counts():
    answer = lab.table("houses").select("id", count="exact").limit(2).execute()
    assert (answer.count, len(answer.data)) == (4, 2)
    assert lab.table("houses").select("id", count="exact", head=True).execute().count == 4


@case
def one_row():
    assert houses().eq("id", 1).single().execute().data == {"id": 1}
    refused(houses().single(), "PGRST116")
    assert houses().eq("id", 99).maybe_single().execute() is None


@case
def csv_and_plan():
    assert houses("id,name").lt("id", 2).csv().execute().data == "id,name\n1,Ash"
    assert "Aggregate" in str(houses().explain(format="text").execute())


@case
def embeds():
    assert houses("name,cities(name)").eq("id", 1).execute().data == [{"name": "Ash", "cities": {"name": "Lyon"}}]
    assert ids(houses("id,floor_plans!inner(rooms)").gt("floor_plans.rooms", 6)) == [2]
    found = lab.table("cities").select("id,houses(name)").eq("id", 1)
    found = found.order("price", desc=True, foreign_table="houses").limit(1, foreign_table="houses").execute().data
    assert found == [{"id": 1, "houses": [{"name": "Beech"}]}]


@case
def writes():
    made = lab.table("notes").insert({"body": "py", "code": "py"}).execute().data
    assert made[0]["grade"] == 5
    assert lab.table("notes").upsert({"code": "py", "body": "again"}, on_conflict="code").execute().data[0]["body"] == "again"
    assert lab.table("notes").update({"grade": 1}).eq("code", "py").execute().data[0]["grade"] == 1
    several = lab.table("notes").insert([{"body": "x"}, {"body": "y", "grade": 1}], default_to_null=False).execute().data
    assert [row["grade"] for row in several] == [5, 1]
    refused(lab.table("notes").insert({"body": "x", "code": "py"}), "23505")
    refused(lab.table("notes").update({"grade": 1}).in_("body", ["x", "y"]).max_affected(1), "PGRST124")
    assert len(lab.table("notes").delete().eq("code", "py").execute().data) == 1


@case
def calls():
    assert lab.rpc("add_up", {"a": 1, "b": 2}).execute().data == 3
    assert lab.rpc("add_up", {"a": 1}, get=True).execute().data == 2
    assert [row["id"] for row in lab.rpc("cheap", {"below": 250}).execute().data] == [3]
    assert refused(lab.rpc("refuse", {}), "PT418").hint == "ask for coffee"
    refused(lab.rpc("unknown", {}), "PGRST202")


@case
def rights():
    refused(lab.table("secrets").select("*"), "42501")
    assert service.table("secrets").select("word").execute().data == [{"word": "hidden"}]
    refused(lab.table("hose").select("*"), "PGRST205")


failed = 0
for run in cases:
    try:
        run()
    except Exception as error:  # noqa: BLE001 (whatever it is, it is told)
        failed += 1
        print(f"supabase-py: {run.__name__}: {type(error).__name__}: {error}")
print(f"{len(cases) - failed} passed, {failed} failed, 0 skipped")
sys.exit(1 if failed else 0)
