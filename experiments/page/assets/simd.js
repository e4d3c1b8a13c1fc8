"use strict";
/* 3x3 convolutions on one block of memory, in WebAssembly with SIMD where the browser has it, else in plain JavaScript.
 *
 * Both have the same signature. Maps are channels last: pixel (y, x) of a map is CHANNELS_IN floats in a row. A call
 * fills rows x columns output pixels from (rows + 2) x (columns + 2) input pixels:
 *
 *   convolve(input, inputRow, output, outputRow, rows, columns, weights, bias)
 *
 * Pointers and the lengths of rows are in bytes. Weights are [3, 3, in, out], as `repack` lays them out. `residual`
 * adds the input pixel and rectifies: a block of the networks, relu(x + conv(x)).
 */

const MEMORY_PAGES = 512; /* of 64 KiB */

/* An integer as LEB128, unsigned or signed, the way WebAssembly writes numbers. */
function leb(value, signed = false) {
  const bytes = [];
  for (;;) {
    const low = value & 127;
    value >>= 7;
    const done = signed ? (value === 0 && !(low & 64)) || (value === -1 && low & 64) : value === 0;
    bytes.push(done ? low : low | 128);
    if (done) return bytes;
  }
}

const section = (id, items) => [id, ...leb(items.length), ...items];
const list = (items) => [...leb(items.length), ...items.flat()];

/* Return the body of a convolution with `cin` channels in and `cout` out, cout a multiple of 4.
 *
 * Two pixels of a row are computed together, so that each vector of weights is loaded once for both. */
function convolutionBody(cin, cout, residual) {
  /* Parameters 0 to 7 as in the comment above; locals: */
  const X = 8, PIXEL = 9, OUT = 10, TAP = 11, WEIGHT = 12, K = 13, ONE = 14, SHARED = 16, SUM = 17, lanes = cout / 4;
  const get = (i) => [0x20, ...leb(i)], set = (i) => [0x21, ...leb(i)], number = (n) => [0x41, ...leb(n, true)];
  const add = (i, ...by) => [...get(i), ...by, 0x6a, ...set(i)];
  const vector = (opcode) => [0xfd, ...leb(opcode)];
  const load = (offset) => [...vector(0), 2, ...leb(offset)], splat = (offset) => [...vector(9), 2, ...leb(offset)];
  const store = (offset) => [...vector(11), 2, ...leb(offset)], plus = vector(0xe4), times = vector(0xe6), max = vector(0xe9);
  const LOOP = [0x03, 0x40], IF = [0x04, 0x40], END = 0x0b, ADD = 0x6a, AND = 0x71, SHIFT = 0x76;
  /* The end of a loop: one less in a counter, and again while it is not 0. */
  const again = (counter) => [...add(counter, ...number(-1)), ...get(counter), 0x0d, 0, END];
  const each = (count, make) => Array.from({ length: count }, (_, i) => make(i)).flat();

  /* So many pixels of a row: sums from the bias, three rows of taps, output. Three pixels of a row are contiguous. */
  const pixels = (count) => {
    const sum = (pixel, lane) => SUM + pixel * lanes + lane;
    const tap = (i) => [
      ...each(count, (pixel) => [...get(TAP), ...splat(4 * (i + pixel * cin)), ...set(ONE + pixel)]),
      ...each(lanes, (lane) => {
        const weights = [...get(WEIGHT), ...load(4 * (i * cout + 4 * lane)), ...set(SHARED)];
        return [...weights, ...each(count, (pixel) => [...get(sum(pixel, lane)), ...get(ONE + pixel), ...get(SHARED), ...times, ...plus, ...set(sum(pixel, lane))])];
      }),
    ];
    const output = (pixel, lane) => [
      ...get(OUT), ...get(sum(pixel, lane)),
      /* The pixel in the middle is one row and one pixel further; then the rectifier. */
      ...(residual ? [...get(PIXEL), ...get(1), ADD, ...load(4 * cin * (1 + pixel) + 16 * lane), ...plus] : []),
      ...(residual ? [...vector(12), ...Array(16).fill(0), ...max] : []),
      ...store(4 * cout * pixel + 16 * lane),
    ];
    return [
      ...each(lanes, (lane) => each(count, (pixel) => [...get(7), ...load(16 * lane), ...set(sum(pixel, lane))])),
      ...get(PIXEL), ...set(TAP), ...get(6), ...set(WEIGHT), ...number(3), ...set(K),
      ...LOOP, ...each(3 * cin, tap), ...add(TAP, ...get(1)), ...add(WEIGHT, ...number(12 * cin * cout)), ...again(K),
      ...each(count, (pixel) => each(lanes, (lane) => output(pixel, lane))),
      ...add(PIXEL, ...number(4 * cin * count)), ...add(OUT, ...number(4 * cout * count)),
    ];
  };
  const body = [
    ...LOOP, ...get(0), ...set(PIXEL), ...get(2), ...set(OUT),
    ...get(5), ...number(1), SHIFT, ...set(X), ...get(X), ...IF, ...LOOP, ...pixels(2), ...again(X), END,
    ...get(5), ...number(1), AND, ...IF, ...pixels(1), END,
    ...add(0, ...get(1)), ...add(2, ...get(3)), ...again(4), END,
  ];
  const locals = list([[...leb(6), 0x7f], [...leb(3 + 2 * lanes), 0x7b]]);
  return [...leb(locals.length + body.length), ...locals, ...body];
}

/* Return the bytes of a module with one function `f` on an imported memory. */
function convolutionModule(cin, cout, residual) {
  const name = (text) => list([...text].map((letter) => [letter.charCodeAt(0)]));
  return new Uint8Array([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, list([[0x60, ...list(Array(8).fill([0x7f])), 0]])),
    ...section(2, list([[...name("m"), ...name("m"), 2, 0, ...leb(MEMORY_PAGES)]])),
    ...section(3, list([[0]])),
    ...section(7, list([[...name("f"), 0, 0]])),
    ...section(10, list([convolutionBody(cin, cout, residual)])),
  ]);
}

/* The same in plain JavaScript, on the floats of the memory. */
function plainConvolution(floats, cin, cout, residual) {
  const sums = new Float64Array(cout);
  return (input, inputRow, output, outputRow, rows, columns, weights, bias) => {
    [input, inputRow, output, outputRow, weights, bias] = [input, inputRow, output, outputRow, weights, bias].map((n) => n >> 2);
    for (let y = 0; y < rows; y++, input += inputRow, output += outputRow) {
      for (let x = 0; x < columns; x++) {
        const pixel = input + x * cin, out = output + x * cout;
        for (let o = 0; o < cout; o++) sums[o] = floats[bias + o];
        for (let k = 0, weight = weights; k < 3; k++) {
          for (let i = 0, tap = pixel + k * inputRow; i < 3 * cin; i++, tap++, weight += cout) {
            const value = floats[tap];
            if (value !== 0) for (let o = 0; o < cout; o++) sums[o] += value * floats[weight + o];
          }
        }
        const middle = pixel + inputRow + cin;
        for (let o = 0; o < cout; o++) floats[out + o] = residual ? Math.max(0, sums[o] + floats[middle + o]) : sums[o];
      }
    }
  };
}

/* The memory of all networks, and the convolutions on it. */
class Arena {
  constructor(simd = true) {
    this.simd = simd && typeof WebAssembly === "object";
    this.memory = null;
    if (this.simd) {
      try {
        this.memory = new WebAssembly.Memory({ initial: MEMORY_PAGES });
        this._compile(4, 4, false);
      } catch {
        this.simd = false;
      }
    }
    this.floats = new Float32Array(this.simd ? this.memory.buffer : new ArrayBuffer(MEMORY_PAGES * 65536));
    this._used = 16;
    this._made = new Map();
  }

  /* Return the pointer of so many floats, in bytes; all zero. */
  allocate(count) {
    const pointer = this._used;
    this._used += (4 * count + 15) & ~15;
    if (this._used > this.floats.byteLength) throw new Error("the networks need more memory than the page has");
    return pointer;
  }

  convolution(cin, cout, residual) {
    const key = `${cin} ${cout} ${residual}`;
    if (!this._made.has(key)) {
      this._made.set(key, this.simd && cout % 4 === 0 ? this._compile(cin, cout, residual) : plainConvolution(this.floats, cin, cout, residual));
    }
    return this._made.get(key);
  }

  _compile(cin, cout, residual) {
    const module = new WebAssembly.Module(convolutionModule(cin, cout, residual));
    return new WebAssembly.Instance(module, { m: { m: this.memory } }).exports.f;
  }
}
