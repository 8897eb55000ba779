"""The main job in a real browser: seeds and their digits, mistakes at the fields, running, stopping, reloading."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import (
    STILL,
    choose,
    finished,
    generate,
    prompt_field,
    recycle,
    reload,
    seed_field,
    shown_seed,
    unfold,
)
from webui import png

pytestmark = pytest.mark.browser
MAXIMUM = 2**64 - 1


# ---- the main job ---------------------------------------------------------------------------------


def test_keeps_the_composition_while_the_words_change(page: Page, site: Any) -> None:
    generate(page, "a lake with mountains")
    finished(page, 1)
    recycle(page)
    expect(seed_field(page)).to_have_value(shown_seed(page))
    first = seed_field(page).input_value()
    generate(page, "a lake with mountains, ducks")
    finished(page, 2)
    new, old = site.studio.gallery.recent(2)
    assert new.recipe.prompt != old.recipe.prompt
    assert str(new.recipe.seed) == str(old.recipe.seed) == first == shown_seed(page)


def test_every_digit_of_a_seed_survives_the_way_round(page: Page, site: Any) -> None:
    for count, seed in enumerate((0, 2**32 - 1, 2**53 + 1, 2**63, MAXIMUM), start=1):
        generate(page, "a lake", str(seed))
        finished(page, count)
        expect_every_digit(page, site, seed)


def expect_every_digit(page: Page, site: Any, seed: int) -> None:
    expect(page.locator("#stage .chip")).to_have_text(str(seed))
    expect(page.locator("#history .chip").first).to_have_text(str(seed))
    href = page.locator(".stage.done a").get_attribute("href")
    served = page.request.get(f"{site.address}/{href}").body()
    found = png.read(served)
    assert found.recipe is not None
    assert found.recipe.seed == seed
    assert f"Seed: {seed}," in (found.infotext or "")
    assert site.studio.gallery.recent(1)[0].recipe.seed == seed
    seed_field(page).fill("")
    page.wait_for_function("JSON.parse(localStorage.getItem('reseed-form')).seed === ''")
    reload(page)
    expect(seed_field(page)).to_have_value("")
    recycle(page)
    expect(seed_field(page)).to_have_value(str(seed))


def test_new_seed_and_same_seed_leave_the_field_alone(page: Page, site: Any) -> None:
    generate(page, "a lake", "777")
    finished(page, 1)
    ways = [("#go-same", "", True), ("#go-new", "777", False), ("#go", "-1", False)]
    for count, (button, field, same) in enumerate(ways, start=2):
        seed_field(page).fill(field)
        page.locator(button).click()
        finished(page, count)
        assert (site.studio.gallery.recent(1)[0].recipe.seed == 777) is same
        expect(seed_field(page)).to_have_value(field)


def test_a_list_of_seeds_makes_a_picture_of_each(page: Page, site: Any) -> None:
    generate(page, "a lake", "7, 9, 20-22")
    finished(page, 5)
    assert [record.recipe.seed for record in reversed(site.studio.gallery.recent(9))] == [7, 9, 20, 21, 22]
    expect(page.locator("#strip .chip")).to_have_text(["22", "21", "20", "9", "7"])


def test_plus_one_is_exact_and_stops_at_the_largest_seed(page: Page) -> None:
    plus = page.get_by_role("button", name="+1 Next seed")
    seed_field(page).fill(str(MAXIMUM - 1))
    plus.click()
    expect(seed_field(page)).to_have_value(str(MAXIMUM))
    plus.click()
    expect(page.locator("#seednote")).to_contain_text("is the largest seed")
    expect(seed_field(page)).to_have_value(str(MAXIMUM))


def test_dice_goes_back_to_random(page: Page) -> None:
    seed_field(page).fill("5")
    page.get_by_role("button", name="Random seed for every click").click()
    expect(seed_field(page)).to_have_value("-1")


def test_recycle_without_a_picture_says_so_and_writes_nothing(page: Page, site: Any) -> None:
    recycle(page)
    expect(page.locator("#seednote")).to_contain_text("There is no picture on screen yet")
    expect(seed_field(page)).to_have_value("")
    page.locator("#go-same").click()
    expect(page.locator("#seed")).to_contain_text("There is no picture on screen yet")
    assert site.studio.jobs.active() == []


def test_any_picture_of_the_history_can_be_picked_and_its_seed_reused(page: Page, site: Any) -> None:
    generate(page, "a lake", "11, 22, 33")
    finished(page, 3)
    reload(page)
    page.get_by_role("button", name="Show the picture with seed 22").first.click()
    expect(page.locator("#stage .stage")).to_have_attribute("data-seed", "22")
    recycle(page)
    expect(seed_field(page)).to_have_value("22")
    page.locator("#history").get_by_role("button", name="Use seed 11 again").click()
    expect(seed_field(page)).to_have_value("11")


def test_loads_the_whole_recipe_of_a_picture_or_a_part(page: Page) -> None:
    page.locator("#steps input[type=number]").fill("7")
    generate(page, "a lake at dawn", "5")
    finished(page, 1)
    page.locator("#steps input[type=number]").fill("9")
    seed_field(page).fill("")
    prompt_field(page).fill("something else")
    page.locator("#stage").get_by_role("button", name="prompt", exact=True).click()
    expect(prompt_field(page)).to_have_value("a lake at dawn")
    expect(seed_field(page)).to_have_value("")
    page.locator("#stage").get_by_role("button", name="everything").click()
    expect(seed_field(page)).to_have_value("5")
    expect(page.locator("#steps input[type=number]")).to_have_value("7")


def test_a_new_picture_moves_no_other_and_takes_no_focus(page: Page) -> None:
    generate(page, "a lake", "1")
    finished(page, 1)
    page.evaluate("document.querySelector('#history .tile').mark = 'first'")
    page.locator("#history .chip").focus()
    page.locator("#history .chip").press("Control+Enter")
    finished(page, 2)
    marks = page.evaluate("[...document.querySelectorAll('#history .tile')].map((tile) => tile.mark ?? '')")
    assert marks == ["", "first"]
    expect(page.locator("#history .chip").last).to_be_focused()


# ---- mistakes -------------------------------------------------------------------------------------


def test_a_bad_seed_gets_a_sentence_at_the_field_and_queues_nothing(page: Page, site: Any) -> None:
    for text in ("abc", "1.5", "-2", str(2**64), "1e3"):
        generate(page, "a lake", text)
        expect(page.locator("#seed .validation-error").first).to_contain_text(f"got '{text}'")
        expect(seed_field(page)).to_have_value(text)
    assert site.studio.jobs.active() == []
    assert site.studio.gallery.count() == 0
    generate(page, "a lake", "3")
    finished(page, 1)
    expect(page.locator("#seed .validation-error")).to_have_count(0)


def test_every_wrong_field_gets_its_sentence(page: Page, site: Any) -> None:
    page.locator("#width input[type=number]").fill("130")
    page.locator("#height input[type=number]").fill("131")
    generate(page, "a lake", "abc")
    expect(page.locator("#seed")).to_contain_text("Seed must be")
    expect(page.locator("#width")).to_contain_text("Nearest: 128 or 136.")
    expect(page.locator("#height")).to_contain_text("Nearest: 128 or 136.")
    assert site.studio.gallery.count() == 0


@pytest.mark.parametrize(
    ("fold", "field", "value"), [("vary", "variations", "12:0.1, x:9"), ("more", "ensd", str(2**33))]
)
def test_a_sentence_in_a_closed_accordion_is_opened_and_gone_to(page: Page, fold: str, field: str, value: str) -> None:
    toggle, box = page.locator(f"#{fold} > button"), page.locator(f"#{field} input, #{field} textarea")
    unfold(page, fold)
    box.fill(value)
    box.blur()
    toggle.click()
    expect(box).to_be_hidden()
    for _ in range(2):  # the second time after a reload, when the accordion was never open
        generate(page, "a lake")
        sentence = page.locator(f"#{field} .validation-error:not(input)")
        expect(sentence).to_contain_text(value)
        expect(sentence).to_be_in_viewport()
        expect(box).to_be_focused()
        page.wait_for_function(
            "([name, value]) => JSON.parse(localStorage.getItem('reseed-form'))[name] == value", arg=[field, value]
        )
        reload(page)
        expect(box).to_be_hidden()


def test_of_several_wrong_fields_the_first_on_the_page_is_gone_to(open_page: Any) -> None:
    page = open_page(viewport={"width": 390, "height": 600})
    page.locator("#height input[type=number]").fill("131")
    page.locator("#height input[type=number]").blur()
    generate(page, "a lake", "abc")
    expect(seed_field(page)).to_be_focused()
    expect(page.locator("#seed .validation-error").first).to_be_in_viewport()
    generate(page, seed="5")
    expect(page.locator("#height input").first).to_be_focused()
    expect(page.locator("#height .validation-error").last).to_be_in_viewport()


def test_markup_in_a_prompt_stays_text(page: Page, site: Any) -> None:
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    text = "<img src=x onerror=\"document.title='hit'\"> ${alert(1)} {{7*7}} `</script>"
    generate(page, text, "1, 2")
    finished(page, 2)
    page.get_by_role("button", name="Details ▼", exact=True).click()
    expect(page.locator("#details td", has_text="onerror").first).to_contain_text(text)
    reload(page)
    expect(page.locator("#history .tile")).to_have_count(2)
    expect(prompt_field(page)).to_have_value(text)
    assert page.title() == "Reseed"
    assert page.locator("img[src=x]").count() == 0


# ---- running, stopping, reloading -----------------------------------------------------------------


def test_a_reload_in_mid_run_comes_back_to_the_preview_and_loses_nothing(page: Page, site: Any) -> None:
    site.engine.delay = STILL
    generate(page, "a lake", "123")
    expect(page.locator(".stage.live")).to_be_visible()
    reload(page)
    expect(page.locator(".stage.live")).to_have_attribute("data-seed", "123")
    expect(page.locator("#stop")).to_be_enabled()
    expect(page.locator("#status [role=progressbar]")).to_be_visible()
    site.engine.delay = 0.0
    finished(page, 1)
    assert shown_seed(page) == "123"
    expect(prompt_field(page)).to_have_value("a lake")


def test_a_job_that_ended_while_the_page_was_away_is_shown(page: Page, site: Any) -> None:
    site.engine.delay = STILL
    generate(page, "a lake", "5-6")
    expect(page.locator(".stage.live")).to_be_visible()
    page.goto("about:blank")
    site.engine.delay = 0.0
    for job in site.studio.jobs.active():
        list(site.studio.jobs.watch(job.job))
    page.goto(site.address)
    finished(page, 2)
    assert shown_seed(page) == "6"
    expect(page.locator("#strip .tile")).to_have_count(2)


def test_stop_keeps_what_is_finished_and_generate_right_after_is_not_lost(page: Page, site: Any) -> None:
    site.engine.delay = 0.2
    generate(page, "a lake", "1-3")
    expect(page.locator("#strip .tile:not(.live)")).to_have_count(1)
    site.engine.delay = STILL
    page.locator("#stop").click()
    generate(page, "a lake", "50")
    site.engine.delay = 0.0
    expect(page.locator("#stage .stage.done")).to_have_attribute("data-seed", "50")
    expect(page.locator("#stop")).to_be_disabled()
    assert sorted(record.recipe.seed for record in site.studio.gallery.recent(9)) == [1, 50]


def test_a_second_click_queues_and_the_waiting_jobs_can_be_dropped(page: Page, site: Any) -> None:
    site.engine.delay = STILL
    generate(page, "a lake", "1")
    expect(page.locator(".stage.live")).to_be_visible()
    generate(page, seed="2")
    expect(page.locator("#status")).to_contain_text("Drop the 1 waiting")
    generate(page, seed="3")
    page.get_by_role("button", name="Drop the 2 waiting").click()
    expect(page.locator("#status").get_by_role("button")).to_have_count(0)
    site.engine.delay = 0.0
    finished(page, 1)
    assert shown_seed(page) == "1"


def test_a_picture_can_be_looked_at_while_another_is_made(page: Page, site: Any) -> None:
    generate(page, "a lake", "1")
    finished(page, 1)
    site.engine.delay = STILL
    generate(page, seed="2")
    expect(page.locator(".stage.live")).to_have_attribute("data-seed", "2")
    page.locator("#history .pick").click()
    expect(page.locator(".stage.done")).to_have_attribute("data-seed", "1")
    expect(page.locator("#stop")).to_be_enabled()
    page.get_by_role("button", name="Watch the picture being made").click()
    expect(page.locator(".stage.live")).to_have_attribute("data-seed", "2")
    site.engine.delay = 0.0
    finished(page, 2)


# ---- words: wildcards, styles, and where a picture came from ----------------------------------------


def test_a_template_draws_for_each_seed_and_comes_back_with_its_styles(page: Page, site: Any) -> None:
    site.studio.settings.styles.write_text('name,prompt\nOil,"oil of {prompt}"\nInk,ink\n')
    reload(page)
    choose(page, "styles", "Oil")
    generate(page, "a {red|blue|green} {house|boat}", "1-6")
    finished(page, 6)
    records = site.studio.gallery.recent(6)
    assert len({record.recipe.prompt for record in records}) > 1
    page.locator("#stage").get_by_role("button", name="everything").click()
    expect(prompt_field(page)).to_have_value(records[0].recipe.prompt)
    expect(page.locator("#styles")).not_to_contain_text("Oil")
    page.locator("#go").click()
    finished(page, 7)
    again = site.studio.gallery.recent(1)[0]
    assert again.recipe == records[0].recipe
    assert again.lineage.parent == records[0].id
    page.locator("#history .pick").nth(1).click()
    page.locator("#stage").get_by_role("button", name="Bring the template back").click()
    expect(prompt_field(page)).to_have_value("a {red|blue|green} {house|boat}")
    expect(page.locator("#styles")).to_contain_text("Oil")
    page.locator("#styles input").fill("no such")
    prompt_field(page).click()
    expect(page.locator("#styles")).not_to_contain_text("no such")


def test_a_picture_knows_what_it_came_from(page: Page, site: Any) -> None:
    generate(page, "a lake", "11, 22")
    finished(page, 2)
    second, first = site.studio.gallery.recent(2)

    def next_parent(count: int, button: str = "#go") -> str:
        page.locator(button).click()
        finished(page, count)
        parent: str = site.studio.gallery.recent(1)[0].lineage.parent
        return parent

    page.locator("#history").get_by_role("button", name="Use seed 11 again").click()
    expect(page.locator("#seednote")).to_contain_text("Seed 11 is in the field")
    page.wait_for_function("id => JSON.parse(localStorage.getItem('reseed-form')).parent === id + '@11'", arg=first.id)
    reload(page)
    assert next_parent(3) == first.id
    assert next_parent(4, "#go-new") == ""
    seed_field(page).fill("12")
    assert next_parent(5) == ""
    page.get_by_role("button", name="Show the picture with seed 22").first.click()
    expect(page.locator(".stage.done")).to_have_attribute("data-seed", "22")
    assert next_parent(6, "#go-same") == second.id


def test_a_seed_taken_from_a_preview_names_the_picture_that_came_of_it(page: Page, site: Any) -> None:
    site.engine.delay = STILL
    generate(page, "a lake", "5")
    expect(page.locator(".stage.live")).to_be_visible()
    recycle(page)
    expect(seed_field(page)).to_have_value("5")
    generate(page, "a lake, ducks")
    expect(page.locator("#status")).to_contain_text("Drop the 1 waiting")
    site.engine.delay = 0.0
    finished(page, 2)
    child, parent = site.studio.gallery.recent(2)
    assert child.lineage.parent == parent.id
