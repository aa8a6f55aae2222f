// The completion scripts: what bash answers with them, and that none of them misses a command or flag.
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { runCommand } from '../support/command.ts';

const script = async (shell: string) => (await runCommand(['completion', shell])).out;

/** What bash offers for the words of a command line, of which the last one is being typed. */
async function offered(...words: string[]): Promise<string[]> {
  const program = `${await script('bash')}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _request_splitter; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const out = execFileSync('bash', ['-c', program, 'bash', 'request-splitter', ...words], {
    encoding: 'utf8',
    cwd: import.meta.dirname,
  });
  return out.split('\n').filter((line) => line !== '');
}

describe('in bash', () => {
  it('commands are completed', async () => {
    expect(await offered('ch')).toEqual(['check']);
    expect(await offered('')).toEqual(
      expect.arrayContaining(['serve', 'check', 'completion', 'help', 'version']),
    );
    expect(await offered('help', 'exp')).toEqual(['explain']);
  });

  it('flags are those of the command, or of serve without one', async () => {
    expect(await offered('check', '--js')).toEqual(['--json']);
    expect(await offered('serve', '--js')).toEqual([]);
    expect(await offered('--lis')).toEqual(['--listen']);
    expect(await offered('explain', '-')).toEqual(expect.arrayContaining(['-H', '--header', '--of']));
  });

  it('files are completed after --config and where a command takes a file', async () => {
    expect(await offered('serve', '--config', 'completion.t')).toEqual(['completion.test.ts']);
    expect(await offered('check', 'completion.t')).toEqual(['completion.test.ts']);
    expect(await offered('serve', '--listen', '')).toEqual([]);
  });

  it('shells are completed', async () => {
    expect(await offered('completion', '')).toEqual(['bash', 'zsh', 'fish']);
  });
});

it.each(['bash', 'zsh', 'fish'])('the script of %s has every command and every flag', async (shell) => {
  const text = await script(shell);
  const { out: help } = await runCommand(['--help']);
  const commands = [...help.matchAll(/^ {2}([a-z]+) (?:\[|<| )/gm)].map((match) => match[1]!);
  expect(commands).toContain('simulate');
  for (const command of commands) {
    expect(text).toContain(command);
    const { out } = await runCommand([command, '--help']);
    for (const [, flag] of out.matchAll(/(?<= )--([a-z-]+)(?: <| {2}|$)/gm)) expect(text).toContain(flag);
  }
});

it('quotes and colons of a sentence are escaped as each shell reads them', async () => {
  expect(await script('zsh')).toContain("[variants, like '\\''50% http\\://backend; * http");
  expect(await script('fish')).toContain("-d 'variants, like \\'50% http://backend; * http");
});

it('another shell is wrong usage', async () => {
  expect(await runCommand(['completion', 'tcsh'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('bash, zsh, fish'),
  });
});
