import { writeFile } from "node:fs/promises";

/*
 * A guest of 119 bytes that boots within a second: it greets on the serial line, sends back what it reads there, and turns
 * itself off when its power button is pressed. Real mode, no interrupts; ports are those of QEMU's q35.
 */
const program = [
  "31c0 8ed8 8ed0", //          xor ax,ax; mov ds,ax; mov ss,ax
  "bc007c", //                  mov sp,0x7c00
  "ba0206 b80001 ef", //        out 0x602,0x100       power button: enable its status bit
  "be4f7c", //                  mov si,greeting
  "ac 84c0 7405", //     say:   lodsb; test al,al; jz listen
  "e82300 ebf6", //             call put; jmp say
  "bafd03 ec a801", //  listen: in al,0x3fd; test al,1  serial line: is there a byte?
  "7407", //                    jz button
  "baf803 ec e81200", //        in al,0x3f8; call put   send it back
  "ba0006 ed", //      button:  in ax,0x600             power button: was it pressed?
  "f6c401 74e8", //             test ah,1; jz listen
  "ba0406 b80020 ef", //        out 0x604,0x2000        power off
  "ebdf", //                    jmp listen
  "88c3", //              put:  mov bl,al
  "bafd03 ec a820 74f8", //     in al,0x3fd; test al,0x20; jz $-6
  "88d8 baf803 ee c3", //       mov al,bl; out 0x3f8,al; ret
].join(" ");

export const greeting = "the little guest is awake";

/** Writes its disk: raw, 1 MiB. */
export async function writeLittleGuest(path: string): Promise<void> {
  const disk = Buffer.alloc(1024 * 1024);
  Buffer.concat([Buffer.from(program.replaceAll(" ", ""), "hex"), Buffer.from(`${greeting}\r\n\0`)]).copy(disk);
  disk.writeUInt16BE(0x55_aa, 510);
  await writeFile(path, disk);
}
