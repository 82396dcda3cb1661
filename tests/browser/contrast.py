"""How well text can be read: contrast as WCAG 2.2 defines it, measured in a page."""

from __future__ import annotations

from playwright.sync_api import Locator

_WEAK = """(root) => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 1;
    const context = canvas.getContext('2d', {willReadFrequently: true});
    const layers = (element) =>
        element ? [...layers(element.parentElement), getComputedStyle(element).backgroundColor] : [];
    const painted = (colours) => {
        context.fillStyle = '#fff';
        for (const colour of [null, ...colours]) {
            if (colour) context.fillStyle = colour;
            context.fillRect(0, 0, 1, 1);
        }
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const linear = (value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const luminance = (colour) => {
        const [r, g, b] = colour.map((value) => linear(value / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = {};
    const unread = ':disabled, svg, mjx-assistive-mml, .orchat-live-region, .orchat-visually-hidden';
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
        const element = text.parentElement;
        const isSeen = element.checkVisibility({visibilityProperty: true}) && !element.closest(unread);
        if (!isSeen || !text.data.trim()) continue;
        const background = layers(element);
        const pair = [painted(background), painted([...background, getComputedStyle(element).color])].map(luminance);
        const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        if (ratio < 4.5) found[text.data.trim().slice(0, 40)] = `${ratio.toFixed(2)} ${element.className}`;
    }
    return found;
}"""


def weak_texts(place: Locator) -> dict[str, str]:
    """The visible texts whose contrast is below 4.5, with it."""
    return dict(place.evaluate(_WEAK))
