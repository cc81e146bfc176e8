// CRC32C. Where the processor has the instruction (SSE4.2), three streams run side by side, since
// it takes three cycles but starts one per cycle; their remainders are joined by multiplication
// with a power of x, four table look-ups each (the method of Mark Adler's crc32c.c). Elsewhere: one
// table.
#include "base/crc32c.hpp"

#include <array>
#include <cstring>

namespace benchfs {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // bit-reversed

constexpr std::uint32_t shift_bit(std::uint32_t crc) {
  return (crc >> 1) ^ (kPolynomial & (0u - (crc & 1u)));
}

constexpr std::array<std::uint32_t, 256> make_byte_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int k = 0; k < 8; ++k) crc = shift_bit(crc);
    table[i] = crc;
  }
  return table;
}
constexpr auto kByteTable = make_byte_table();

#if defined(__x86_64__)

/// Bytes per stream and round.
constexpr std::size_t kStride = 1024;

/// A linear map on 32-bit remainders, as four tables of one byte each.
using Shift = std::array<std::array<std::uint32_t, 256>, 4>;

constexpr std::uint32_t apply(const std::array<std::uint32_t, 32>& columns, std::uint32_t vector) {
  std::uint32_t out = 0;
  for (std::size_t i = 0; vector != 0; ++i, vector >>= 1) {
    if ((vector & 1) != 0) out ^= columns[i];
  }
  return out;
}

/// What `zeros` further zero bytes do to a remainder; `zeros` a power of two.
constexpr Shift make_shift(std::size_t zeros) {
  std::array<std::uint32_t, 32> columns{};  // one zero bit
  for (std::size_t i = 0; i < 32; ++i) columns[i] = shift_bit(1u << i);
  for (std::size_t bits = 1; bits < zeros * 8; bits *= 2) {
    std::array<std::uint32_t, 32> squared{};
    for (std::size_t i = 0; i < 32; ++i) squared[i] = apply(columns, columns[i]);
    columns = squared;
  }
  Shift shift{};
  for (std::size_t byte = 0; byte < 4; ++byte) {
    for (std::uint32_t value = 0; value < 256; ++value)
      shift[byte][value] = apply(columns, value << (8 * byte));
  }
  return shift;
}
constexpr Shift kShift = make_shift(kStride);

std::uint32_t shifted(std::uint32_t crc) {
  return kShift[0][crc & 0xff] ^ kShift[1][(crc >> 8) & 0xff] ^ kShift[2][(crc >> 16) & 0xff] ^
         kShift[3][crc >> 24];
}

std::uint64_t load64(const std::byte* at) {
  std::uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::span<const std::byte> bytes,
                                                             std::uint32_t before) {
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t a = ~before;
  for (; left >= 3 * kStride; left -= 3 * kStride, at += 3 * kStride) {
    std::uint64_t b = 0;
    std::uint64_t c = 0;
    for (std::size_t i = 0; i < kStride; i += 8) {
      a = __builtin_ia32_crc32di(a, load64(at + i));
      b = __builtin_ia32_crc32di(b, load64(at + kStride + i));
      c = __builtin_ia32_crc32di(c, load64(at + 2 * kStride + i));
    }
    const std::uint32_t ab = shifted(static_cast<std::uint32_t>(a)) ^ static_cast<std::uint32_t>(b);
    a = shifted(ab) ^ static_cast<std::uint32_t>(c);
  }
  for (; left >= 8; left -= 8, at += 8) a = __builtin_ia32_crc32di(a, load64(at));
  auto crc = static_cast<std::uint32_t>(a);
  for (; left > 0; --left, ++at)
    crc = __builtin_ia32_crc32qi(crc, std::to_integer<unsigned char>(*at));
  return ~crc;
}

#endif

}  // namespace

std::uint32_t crc32c_portable(std::span<const std::byte> bytes, std::uint32_t before) {
  std::uint32_t crc = ~before;
  for (const std::byte b : bytes)
    crc = (crc >> 8) ^ kByteTable[(crc ^ std::to_integer<std::uint32_t>(b)) & 0xff];
  return ~crc;
}

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return crc32c_sse42(bytes, before);
#endif
  return crc32c_portable(bytes, before);
}

}  // namespace benchfs
