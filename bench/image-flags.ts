// The flags with which the image starts node, read from the Dockerfile, so that the bench measures what is deployed.

/** What stands between `node` and the script in the ENTRYPOINT; throws when the Dockerfile has no such line. */
export function imageNodeFlags(dockerfile: string): string[] {
  const line = [...dockerfile.matchAll(/^ENTRYPOINT\s+(\[.*\])\s*$/gm)].at(-1)?.[1];
  if (line === undefined)
    throw new Error('Dockerfile: expected ENTRYPOINT ["node", …, "/app/main.js"], got none');
  const words: unknown = JSON.parse(line);
  if (!Array.isArray(words) || words[0] !== 'node' || !String(words.at(-1)).endsWith('.js')) {
    throw new Error(`Dockerfile: expected ENTRYPOINT ["node", …, "/app/main.js"], got ${line}`);
  }
  return words.slice(1, -1).map(String);
}
