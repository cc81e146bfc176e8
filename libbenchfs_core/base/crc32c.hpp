// CRC32C (Castagnoli; RFC 3720 section 12.1), the checksum of messages, blocks and encoded maps.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace benchfs {

/// CRC32C of `bytes`. To continue over several pieces, pass the result for those before as
/// `before`: crc32c(b, crc32c(a)) is the CRC of a followed by b. Uses the processor's instruction
/// where there is one.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0);

/// The same by table, on any processor.
std::uint32_t crc32c_portable(std::span<const std::byte> bytes, std::uint32_t before = 0);

}  // namespace benchfs
