/**
 * The values that kernels have written into cells, as far as they are still known: the next one may come as a patch
 * (`orchat.jupyter.kernel.cell_storage.value_patch`), which names the message that brought the value before it.
 */

const MAX_VALUES = 8;

/** By cell. @type {Map<unknown, {id: unknown, value: any}>} */
const lastValues = new Map();

/**
 * @param {unknown} cellId
 * @param {unknown} id The message that has brought the value.
 * @param {any} value
 */
export function keepValue(cellId, id, value) {
  lastValues.delete(cellId);
  lastValues.set(cellId, { id, value });
  if (lastValues.size > MAX_VALUES) lastValues.delete(lastValues.keys().next().value);
}

/**
 * @param {{id: unknown, cell_id: unknown, base: unknown, patch: any}} request
 * @returns {any} The value; undefined where that before it is not known.
 */
export function patchedValue({ id, cell_id, base, patch }) {
  const last = lastValues.get(cell_id);
  if (last?.id === id) return last?.value; // it was sent again
  return last?.id === base ? applyPatch(last?.value, patch) : undefined;
}

/**
 * @param {any} old Is not changed.
 * @param {any} patch
 * @returns {any}
 */
export function applyPatch(old, patch) {
  if (Object.hasOwn(patch, "is")) return patch.is;
  if (Array.isArray(old)) return [...old.slice(patch.from, patch.to), ...patch.then];
  const removed = new Set(patch.without);
  const changed = Object.entries(patch.within).map(([name, each]) => {
    return [name, applyPatch(Object.hasOwn(old, name) ? old[name] : null, each)];
  });
  return Object.fromEntries([...Object.entries(old).filter(([name]) => !removed.has(name)), ...changed]);
}
