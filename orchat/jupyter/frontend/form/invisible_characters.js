/**
 * Characters that nobody sees: they turn text around, hide in it, or end a line where none seems to end. What is shown
 * is what runs, so a form tells of them. A joiner inside of an emoji is a part of what is seen.
 */

const IN_EMOJI = "(?<=[\\p{Extended_Pictographic}\\p{Emoji_Modifier}\\ufe0f])\\u200d";
const UNSEEN = new RegExp(`(?!${IN_EMOJI})[\\p{Cf}\\p{Cc}\\p{Zl}\\p{Zp}\\u115f\\u1160\\u3164\\uffa0]`, "gu");

/**
 * @param {string} text
 * @returns {string[]} The code points of the unseen characters, each once.
 */
export function unseen(text) {
  const found = new Set((text.match(UNSEEN) ?? []).filter((each) => !"\n\t".includes(each)));
  return [...found].map((each) => `U+${(each.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`);
}
