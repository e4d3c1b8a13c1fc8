"""The public controls of a page, from its document, and which of them a test used."""

import json
from typing import Any

RECORDER = """(() => {
  const controls = 'button, select, input, textarea, a[href], canvas[tabindex], summary, [role=listbox]';
  window.controlKey = (element) => {
    const one = element.closest?.('[role=listbox]') ?? element.closest?.(controls);
    if (!one) return null;
    if (one.matches('[data-tool]')) return one.parentElement.id;
    const groups = { 'nav a': 'nav', '.skip': 'skip', '.word': 'word', 'dialog button': 'close', summary: 'summary' };
    for (const selector in groups) if (one.matches(selector)) return groups[selector];
    return one.id || one.outerHTML;
  };
  window.controlKeys = () => [...new Set([...document.querySelectorAll(controls)]
    .filter((one) => one.checkVisibility() || one.closest('dialog, [hidden], details, .status'))
    .filter((one) => !one.closest(document.body.dataset.backEnd === 'static' ? '.of-python' : '.of-story'))
    .filter((one) => !one.closest('figure[hidden]')).map(controlKey))];
  window.usedControls = new Set();
  for (const type of ['click', 'input', 'change', 'keydown', 'pointerdown'])
    addEventListener(type, (event) => { if (event.target.closest) usedControls.add(controlKey(event.target)); }, true);
})()"""
"""A script that notes which control each event of the page reaches."""


def check_used(browser: Any, controls: dict[str, str], test: str) -> None:
    """Check that a test used every control for which it is listed."""
    listed = {key for key, name in controls.items() if name == test}
    if listed:
        assert listed - set(browser.run("[...usedControls]")) == set(), (
            "controls that this test is listed for and did not use"
        )


ROLES = {
    "application",
    "button",
    "checkbox",
    "combobox",
    "image",
    "link",
    "listbox",
    "meter",
    "option",
    "radio",
    "radiogroup",
    "slider",
    "spinbutton",
    "textbox",
}


def unnamed(browser: Any, least: int = 40) -> list[str]:
    """Return the roles of controls in the accessibility tree that have no name."""
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    shown = [node for node in nodes if not node["ignored"] and node.get("role", {}).get("value") in ROLES]
    assert len(shown) > least, "the tree was read"
    return [node["role"]["value"] for node in shown if not node.get("name", {}).get("value", "").strip()]


def fire(browser: Any, name: str, value: object = None, event: str = "") -> None:
    """Set a control as a person does: click a button, or give another control a value and send its event."""
    script = """((control, value, event) => {
      if (value === null) { control.click(); return; }
      if (control.type === 'checkbox') control.checked = value; else control.value = value;
      for (const one of event ? [event] : control.type === 'range' ? ['input', 'change'] : ['change'])
        control.dispatchEvent(new Event(one, { bubbles: true }));
    })"""
    browser.run(f"{script}(document.getElementById('{name}'), {json.dumps(value)}, '{event}')")
