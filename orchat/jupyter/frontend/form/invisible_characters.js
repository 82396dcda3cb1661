/**
 * Find invisible characters in a text: bidirectional controls, zero-width characters, unusual line ends. What is shown
 * must be what runs, so forms warn of them. A joiner inside of an emoji is visible as a part of it.
 */

const EMOJI_JOINER = /(?<=[\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f])\u200d/gu;
const INVISIBLE = /[\p{Cf}\p{Cc}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/gu;

/**
 * @param {string} text
 * @returns {string[]} The code points of the invisible characters, each once.
 */
export function invisibleCharacters(text) {
  const others = text.replace(EMOJI_JOINER, "");
  const found = new Set((others.match(INVISIBLE) ?? []).filter((each) => !"\n\t".includes(each)));
  return [...found].map((each) => `U+${(each.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`);
}
