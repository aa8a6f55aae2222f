// Reads the option declaration back: which keys are known at a place, every option as a row of the manual, the
// JSON Schema for editors. Adds nothing that config/options does not say; no option is named here.

import * as z from 'zod/mini';
import { documentSchema } from './options/document.ts';
import type { Path } from './problem.ts';

/** One option as the manual lists it. `path` has `*` for a name that the user picks and `[]` for a list entry. */
export interface OptionRow {
  readonly path: string;
  readonly kind: string;
  /** As a user would write it; "" when there is none, "required" when it must be given. */
  readonly default: string;
  /** Limits like "1ms to 1h"; empty when the kind says it all. */
  readonly range: string;
  readonly doc: string;
}

interface Meta {
  description?: string;
  kind?: string;
  range?: string;
}

type AnySchema = z.core.$ZodType;

/** The schema under defaults, optionals, preprocessing and transforms; what a user writes is checked by it. */
function core(schema: AnySchema): AnySchema {
  if (
    schema instanceof z.core.$ZodOptional ||
    schema instanceof z.core.$ZodNullable ||
    schema instanceof z.core.$ZodDefault ||
    schema instanceof z.core.$ZodPrefault
  ) {
    return core(schema._zod.def.innerType);
  }
  if (schema instanceof z.core.$ZodPipe) {
    return core(
      schema._zod.def.in instanceof z.core.$ZodTransform ? schema._zod.def.out : schema._zod.def.in,
    );
  }
  return schema;
}

/** Keys that may stand in the map at `path`, in the order of the declaration; none where a user picks the names. */
export function knownKeys(path: Path): string[] {
  let schema: AnySchema = core(documentSchema);
  for (const step of path) {
    const next = child(schema, step);
    if (next === undefined) return [];
    schema = core(next);
  }
  // A list of one may be written without its brackets.
  if (schema instanceof z.core.$ZodArray) schema = core(schema._zod.def.element);
  if (schema instanceof z.core.$ZodUnion) {
    const objects = schema._zod.def.options.map(core).filter((option) => option instanceof z.core.$ZodObject);
    return objects.flatMap((object) => Object.keys(object._zod.def.shape));
  }
  return schema instanceof z.core.$ZodObject ? Object.keys(schema._zod.def.shape) : [];
}

/** The schema of the option at `path`, defaults and all; undefined where there is none. */
export function schemaAt(path: Path): AnySchema | undefined {
  let schema: AnySchema | undefined = documentSchema;
  for (const step of path) {
    if (schema === undefined) return undefined;
    schema = child(core(schema), step);
  }
  return schema;
}

/** The words that the option at `path` takes, where it takes words of a list. */
export function choicesAt(path: Path): string[] {
  const schema = schemaAt(path);
  const found = schema === undefined ? undefined : core(schema);
  return found instanceof z.core.$ZodEnum ? Object.values(found._zod.def.entries).map(String) : [];
}

function child(schema: AnySchema, step: string | number): AnySchema | undefined {
  if (schema instanceof z.core.$ZodObject) {
    return Object.hasOwn(schema._zod.def.shape, step) ? schema._zod.def.shape[step] : undefined;
  }
  if (schema instanceof z.core.$ZodRecord) return schema._zod.def.valueType;
  if (schema instanceof z.core.$ZodArray) {
    const { element } = schema._zod.def;
    return typeof step === 'number' ? element : child(core(element), step);
  }
  if (schema instanceof z.core.$ZodUnion) {
    for (const option of schema._zod.def.options) {
      const found = child(core(option), step);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** Every option in the order of the declaration, each map before its options. */
export function optionRows(): OptionRow[] {
  const rows: OptionRow[] = [];
  collect(core(documentSchema), '', rows, new Set());
  return rows;
}

let defaultTexts: ReadonlyMap<string, string> | undefined;

/** The file's default of an option by its path, as a user would write it; what equals it need not be written. */
export function defaultTextOf(path: string): string | undefined {
  // Made when it is first asked for: a start that translates nothing does not pay for it.
  defaultTexts ??= new Map(optionRows().map((row) => [row.path, row.default]));
  return defaultTexts.get(path);
}

/** @param inside the maps around this schema: one that is inside itself is listed once */
function collect(schema: AnySchema, prefix: string, rows: OptionRow[], inside: Set<AnySchema>): void {
  if (schema instanceof z.core.$ZodRecord)
    collect(core(schema._zod.def.valueType), `${prefix}.*`, rows, inside);
  else if (schema instanceof z.core.$ZodArray)
    collect(core(schema._zod.def.element), `${prefix}[]`, rows, inside);
  else if (schema instanceof z.core.$ZodUnion) {
    for (const option of schema._zod.def.options) collect(core(option), prefix, rows, inside);
  } else if (schema instanceof z.core.$ZodObject) {
    if (inside.has(schema)) return;
    inside.add(schema);
    for (const [key, option] of Object.entries(schema._zod.def.shape)) {
      const path = prefix === '' ? key : `${prefix}.${key}`;
      const meta = metaOf(option);
      if (meta.kind !== undefined) {
        rows.push({
          path,
          kind: meta.kind,
          default: shownDefault(option),
          range: meta.range ?? '',
          doc: meta.description ?? '',
        });
      }
      collect(core(option), path, rows, inside);
    }
    inside.delete(schema);
  }
}

// The entry for the manual is on the option itself or under its default.
function metaOf(schema: AnySchema): Meta {
  const own = z.globalRegistry.get(schema) as Meta | undefined;
  if (own?.kind !== undefined) return own;
  if (
    schema instanceof z.core.$ZodOptional ||
    schema instanceof z.core.$ZodDefault ||
    schema instanceof z.core.$ZodPrefault ||
    schema instanceof z.core.$ZodNullable
  ) {
    return metaOf(schema._zod.def.innerType);
  }
  return own ?? {};
}

function shownDefault(schema: AnySchema): string {
  if (schema instanceof z.core.$ZodDefault || schema instanceof z.core.$ZodPrefault) {
    const value: unknown = schema._zod.def.defaultValue;
    if (typeof value === 'object' && value !== null && Object.keys(value).length === 0) return '';
    return typeof value === 'string' ? value : JSON.stringify(value);
  }
  return schema instanceof z.core.$ZodOptional ? '' : 'required';
}

/** JSON Schema (draft 2020-12) of the file format, for editors; what only linking can tell is not in it. */
export function jsonSchema(): Record<string, unknown> {
  const { $schema, ...generated } = z.toJSONSchema(documentSchema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema: node }) => forEditors(node),
  });
  return {
    $schema,
    title: 'request-splitter configuration',
    ...generated,
    // Room for YAML anchors: config/parse leaves these keys out.
    patternProperties: { '^x-': {} },
  };
}

/** Takes out what only the manual needs, and lets a list of one be written without its brackets where that is read. */
function forEditors(node: Record<string, unknown>): void {
  const isSingle = node.single === true;
  for (const own of ['kind', 'range', 'single']) delete node[own];
  if (JSON.stringify(node.default) === '{}') delete node.default;
  if (!isSingle || node.items === undefined) return;
  const { type, items, minItems } = node;
  for (const key of ['type', 'items', 'minItems']) delete node[key];
  node.anyOf = [items, { type, items, minItems }];
}
