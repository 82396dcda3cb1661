/**
 * The reducer of a panel's state; `orchat.jupyter.panel.panel_view_model` defines state and events. Pure: a state is
 * never changed, and parts without an event stay the same objects.
 *
 * @typedef {import("../view/view_reducer.js").State} TurnState
 * @typedef {{name: string, kind: string, picture?: {type: string, data: string}}} Along
 * @typedef {{text: string, files: Along[], values?: string[], sent?: string}} Question
 * @typedef {{n: number, q: Question, s: TurnState}} OtherVersion
 * @typedef {{k: number, q: Question, s: TurnState, v?: [number, number] | null, o?: OtherVersion[] | null}} Turn
 * @typedef {{n: number, name: string, kind: string, size: number, error: string, done: number}} File
 * @typedef {{id: string, name: string, facts: string, badges?: string[]}} Model
 * @typedef {{temperature: number|null, max_tokens: number|null, effort: string|null}} Parameters
 * @typedef {{height: string, draft: {n: number, text: string}, files: File[], running: boolean, model: string,
 *   error: {title: string, text: string, hint: string, actions?: string[]}|null, editing: number|null, redo: boolean,
 *   refused?: {n: number, errors: Record<string, string>}, readonly: {text: string, discard: boolean}|null,
 *   tools: {label: string, tools: {name: string, title: string, on: boolean}[], more: number}[],
 *   note: string, warning: {n: number, text: string}|null, parameters: Parameters, system: string,
 *   chats: string[], chat: string, titles?: Record<string, string>, prompts?: string[], cost: string, where: string,
 *   completions?: {n: number, length: number, list: string[], notes?: string[], whole?: boolean}, grants: string[],
 *   cell: boolean, models?: {n: number, query: string, list: Model[], apart?: Model[], total: number, note: string},
 *   exported?: {n: number, text: string}, saved?: Record<string, string>|null,
 *   widget?: string}} Fields
 * @typedef {{fields: Fields, first: number, turns: Turn[]}} State
 * @typedef {{e: "panel", set: Partial<Fields>} | {e: "all", first: number, turns: Turn[]}
 *   | {e: "older", first: number, turns: Turn[]} | {e: "begin", turn: Turn} | {e: "drop", k: number}
 *   | {e: "turn", k: number, set: Partial<Turn>}
 *   | {e: "in", k: number, list: import("../view/view_reducer.js").Event[]}} Event
 */

import { reduceEvents as reduceTurn } from "../view/view_reducer.js";

/**
 * @param {State} state
 * @param {Event[]} events
 * @returns {State}
 */
export function reduceEvents(state, events) {
  let { fields, first, turns } = state;
  for (const event of events) {
    if (event.e === "panel") fields = { ...fields, ...event.set };
    else if (event.e === "all") ({ first, turns } = event);
    else if (event.e === "older") {
      first = event.first;
      turns = [...event.turns, ...turns];
    } else if (event.e === "begin") turns = [...turns, event.turn];
    else if (event.e === "drop") turns = turns.filter(({ k }) => k !== event.k);
    else if (event.e === "turn") turns = turns.map((turn) => (turn.k === event.k ? { ...turn, ...event.set } : turn));
    else turns = turns.map((turn) => (turn.k === event.k ? { ...turn, s: reduceTurn(turn.s, event.list) } : turn));
  }
  return { fields, first, turns };
}
