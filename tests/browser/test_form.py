"""The settings' form in a browser: what stands there is what is asked with, and it is there again after a reload."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Tab


def test_the_settings_are_in_groups_and_stay_over_a_reload(tab: Tab) -> None:
    page = tab.page
    tab.step("train")
    page.get_by_role("button", name="Advanced").click()
    for title in ("How it learns", "Memory and speed", "Watching", "Name and reports"):
        expect(page.locator("#settings").get_by_role("heading", name=title, exact=True)).to_be_visible()
    at_once = page.locator("#settings").get_by_label("Rows at a time")
    expect(at_once).to_have_attribute("placeholder", "chosen by the studio")
    page.get_by_label("LoRA+ ratio").fill("16")
    page.get_by_label("Stop early after").click()
    page.keyboard.insert_text("3")  # as if it was pasted
    page.get_by_label("Stop early after").press("Tab")
    page.locator("#settings").get_by_label("short rows side by side").uncheck()
    tab.wait("studio.state.form.lora_plus === 16 && studio.state.form.patience === 3")
    tab.wait("!studio.state.form.levers.includes('packing')")
    page.reload()
    tab.wait("studio.state.model && studio.state.home")
    tab.step("train")
    page.get_by_role("button", name="Advanced").click()
    expect(page.get_by_label("LoRA+ ratio")).to_have_value("16", timeout=20_000)
    expect(page.get_by_label("Stop early after")).to_have_value("3")
    expect(page.locator("#settings").get_by_label("short rows side by side")).not_to_be_checked()
    page.get_by_label("Stop early after").fill("")
    page.get_by_label("Stop early after").press("Tab")
    tab.wait("studio.state.form.patience === null")
