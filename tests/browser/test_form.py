"""The settings' form in a browser: what stands there is what is asked with, and it is there again after a reload."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Tab


def test_the_settings_are_in_groups_and_stay_over_a_reload(tab: Tab) -> None:
    page = tab.page
    tab.step("train")
    tab.advanced()
    for title in ("How it learns", "Memory and speed", "Watching", "Name and reports"):
        expect(page.locator("#settings").get_by_role("heading", name=title, exact=True)).to_be_visible()
    expect(tab.setting("Rows at a time")).to_have_attribute("placeholder", "chosen by the studio")
    tab.setting("LoRA+ ratio").fill("16")
    tab.setting("Stop early after").click()
    page.keyboard.insert_text("3")  # as if it was pasted
    tab.setting("Stop early after").press("Tab")
    tab.setting("short rows side by side").uncheck()
    tab.wait("studio.state.form.lora_plus === 16 && studio.state.form.patience === 3")
    tab.wait("!studio.state.form.levers.includes('packing')")
    tab.reload()
    tab.step("train")
    tab.advanced()
    expect(tab.setting("LoRA+ ratio")).to_have_value("16")
    expect(tab.setting("Stop early after")).to_have_value("3")
    expect(tab.setting("short rows side by side")).not_to_be_checked()
    tab.setting("Stop early after").fill("")
    tab.setting("Stop early after").press("Tab")
    tab.holds("studio.state.form.patience", None)
