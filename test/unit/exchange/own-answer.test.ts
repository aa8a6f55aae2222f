// The text of the splitter's own answers.
import { describe, expect, it } from 'vitest';
import { causeOf } from '../../../src/errors.ts';
import { faultText } from '../../../src/exchange/own-answer.ts';

describe('the text of an answer to a request that failed', () => {
  it('is the sentence of the code, with the cause in brackets', () => {
    expect(faultText('BAD_CHUNK', null)).toBe('BAD_CHUNK: the chunked body is malformed\n');
    expect(faultText('BAD_CHUNK', causeOf('byte 0x0a after a chunk size'))).toBe(
      'BAD_CHUNK: the chunked body is malformed (byte 0x0a after a chunk size)\n',
    );
  });

  it('says nothing twice', () => {
    const cause = causeOf('the request line is longer than limits.requestLine (8192 bytes)');
    expect(faultText('TARGET_TOO_LONG', cause)).toBe(`TARGET_TOO_LONG: ${cause.text}\n`);
    const same = causeOf('Transfer-Encoding is not "chunked"');
    expect(faultText('UNKNOWN_TRANSFER_ENCODING', same)).toBe(`UNKNOWN_TRANSFER_ENCODING: ${same.text}\n`);
  });
});
