/**
 * The reducer of a turn's state; the twin of `orchat.jupyter.kernel.live_view.view_reducer`, which defines the events.
 * Pure: a state is never changed, and parts without an event stay the same objects.
 *
 * @typedef {{md: string, html?: string, goes_on?: boolean}} Block
 * @typedef {{kind: "text", blocks: Block[], tail: string, html?: string, goes_on?: boolean}} TextItem
 * @typedef {{kind: "reasoning", text: string, live: boolean}} ReasoningItem
 * @typedef {{path: string, message: string}} FieldError
 * @typedef {"writing"|"cut"|"twice"|"waiting"|"asking"|"running"|"done"|"failed"|"rejected"|"answered"} CallStatus
 * @typedef {{kind: "call", name: string, args: string, status: CallStatus, text?: string, result?: string,
 *   line?: string, form?: any, draft?: any, preview?: Block | null, errors?: FieldError[], reply?: number,
 *   granted?: boolean, progress?: {part: number | null, text: string} | null,
 *   pictures?: {type: string, data: string}[]}} CallItem
 * @typedef {{kind: "picture", type: string, data: string}} PictureItem
 * @typedef {TextItem|ReasoningItem|CallItem|PictureItem} Item
 * @typedef {{url: string, title: string}} Source
 * @typedef {{phase: "waiting"|"running"|"ended", label: string, retry: string, footer: string, sources: Source[],
 *   elapsed: number, stop: boolean, cell: boolean, fixes?: number[], details?: object | null, items: Item[]}} State
 * @typedef {{e: "turn", set: Partial<State>} | {e: "item", item: Item} | {e: "set", i: number, set: object}
 *   | {e: "add", i: number, field: string, text: string}
 *   | {e: "text", i: number, done?: Block[], keep: number, add: string, html?: string, goes_on?: boolean}} Event
 */

/**
 * @returns {State} The state of a turn before its first event.
 */
export function initialState() {
  const empty = { label: "", retry: "", footer: "", sources: [], elapsed: 0, stop: false, cell: false };
  return { phase: "waiting", ...empty, items: [] };
}

/**
 * @param {State} state
 * @param {Event[]} events
 * @returns {State}
 */
export function reduceEvents(state, events) {
  const items = state.items.slice();
  let next = { ...state, items };
  for (const event of events) {
    if (event.e === "turn") next = { ...next, ...event.set };
    else if (event.e === "item") items.push(event.item);
    else if (items[event.i] !== undefined) items[event.i] = updateItem(items[event.i], event);
  }
  return next;
}

/**
 * @param {any} item
 * @param {Exclude<Event, {e: "turn"} | {e: "item"}>} event
 * @returns {Item}
 */
function updateItem(item, event) {
  if (event.e === "set") return { ...item, ...event.set };
  if (event.e === "add") return { ...item, [event.field]: item[event.field] + event.text };
  return {
    ...item,
    blocks: event.done ? [...item.blocks, ...event.done] : item.blocks,
    tail: item.tail.slice(0, event.keep) + event.add,
    html: event.html ?? "",
    goes_on: event.goes_on ?? false,
  };
}
