// Foundation's ICU brings 34 MB of data about languages, of which our tools use nothing: they print numbers as C does.
// Where the Swift library is linked statically, this table without entries stands in for it. (Hidden, so that where it is
// linked dynamically Foundation keeps its own.)

#include <stdint.h>

// A "common data" file of ICU (udata.h, ucmndata.h): a header, and a table of contents that counts nothing.
struct Table {
  uint16_t headerBytes;
  uint8_t magic[2];
  uint16_t infoBytes, reserved;
  uint8_t isBigEndian, charset, characterBytes, reservedByte;
  uint8_t format[4], formatVersion[4], dataVersion[4];
  uint8_t padding[8];
  uint32_t count, reservedWord;
  const void *entries[4];
};

#define TABLE(version)                                                                     \
  __attribute__((visibility("hidden"), aligned(16))) const struct Table icudt##version##_dat = { \
      32, {0xda, 0x27}, 20, 0, 0, 0, 2, 0, {'T', 'o', 'C', 'P'}, {1, 0, 0, 0}, {0}, {0}, 0, 0, {0}};

// The version of ICU is part of the name; Swift 6.1 to 6.3 have 74 to 76.
TABLE(74)
TABLE(75)
TABLE(76)
TABLE(77)
TABLE(78)
TABLE(79)
TABLE(80)
