/**
 * A person's choice for the Enter key, which the browser keeps for all panels.
 */

const ENTER_PREFERENCE = "orchat: Enter breaks the line";

/** Read the person's choice for the Enter key from the browser; null where it stores nothing. */
export function readPreference() {
  try {
    return localStorage.getItem(ENTER_PREFERENCE);
  } catch {
    return null;
  }
}

/** @param {string} value */
export function writePreference(value) {
  try {
    localStorage.setItem(ENTER_PREFERENCE, value);
  } catch {
    // it holds for this page
  }
}
