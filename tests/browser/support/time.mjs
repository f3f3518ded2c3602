// Waiting, with an end.
export const sleep = milliseconds => new Promise(done => setTimeout(done, milliseconds));

/** Until `look` returns something that counts as true; what it last said is part of the error. */
export async function until(what, look, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < end) {
    try {
      last = await look();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    await sleep(100);
  }
  throw new Error(`not within ${seconds} s: ${what} (last: ${last instanceof Error ? last.message : JSON.stringify(last)})`);
}
