// A line of the log as a person reads it on a terminal: time, level, message, then the other members as name=value.
// Everything else that reads the log gets JSON.

/** Members that come first and without their names. */
const LEADING = new Set(['time', 'level', 'msg']);
/** A value that needs no quotes. */
const BARE = /^[\x21\x23-\x3c\x3e-\x5b\x5d-\x7e]+$/;
/** Characters that a terminal may obey: C0, DEL, C1, and those that turn the direction of text. */
const OBEYED = /[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * The line with its end, its time in the zone of the process.
 * @param line one object in JSON, its end included; a text that is none comes back as it is
 */
export function readableLine(line: string): string {
  let members: Record<string, unknown>;
  try {
    members = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const { time, level, msg } = members;
  const named = Object.entries(members).filter(([name]) => !LEADING.has(name));
  const words = [
    timeOfDay(time),
    String(level ?? 'info').padEnd(5),
    ...(msg === undefined ? [] : [harmless(String(msg))]),
    ...named.map(([name, value]) => `${name}=${readableValue(value)}`),
  ];
  return `${words.join(' ')}\n`;
}

function timeOfDay(time: unknown): string {
  const at = new Date(String(time));
  if (Number.isNaN(at.getTime())) return '--:--:--.---';
  const [hours, minutes, seconds] = [at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits);
  return `${hours}:${minutes}:${seconds}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}

const twoDigits = (number: number) => String(number).padStart(2, '0');

function readableValue(value: unknown): string {
  if (typeof value === 'string' && BARE.test(value)) return value;
  return harmless(JSON.stringify(value));
}

function harmless(text: string): string {
  return text.replace(OBEYED, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
