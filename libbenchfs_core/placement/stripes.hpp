// The local files of one file on one server. A writer holds its local file's lock for as long as
// the kernel copies; with several files, ranks that write side by side do not wait for each other
// (docs/adr/0007-local-access.md has the measurements). Bytes go round the files a stripe at a
// time, without gaps: stripe row r of the file is stripe row r / kStripeFiles of a local file.
#pragma once
#include <cstddef>
#include <cstdint>

namespace benchfs {

inline constexpr unsigned kStripeFiles = 4;
inline constexpr unsigned kStripeShift = 20;
inline constexpr std::uint64_t kStripeBytes = 1ull << kStripeShift;

/// Where a byte of a file is.
struct StripePlace {
  unsigned file;         ///< 0 to kStripeFiles - 1
  std::uint64_t offset;  ///< in that local file
  std::uint64_t room;    ///< bytes from there to the end of the stripe
};

constexpr StripePlace stripe_at(std::uint64_t offset) {
  const std::uint64_t row = offset >> kStripeShift;
  const std::uint64_t within = offset & (kStripeBytes - 1);
  return {static_cast<unsigned>(row % kStripeFiles), (row / kStripeFiles << kStripeShift) + within,
          kStripeBytes - within};
}

/// The place in the whole of byte `offset` of local file `file`: stripe_at() backwards.
constexpr std::uint64_t stripe_origin(unsigned file, std::uint64_t offset) {
  const std::uint64_t row = (offset >> kStripeShift) * kStripeFiles + file;
  return (row << kStripeShift) + (offset & (kStripeBytes - 1));
}

/// Bytes of local file `file` that lie before offset `size` of the whole.
constexpr std::uint64_t stripe_size(std::uint64_t size, unsigned file) {
  const StripePlace end = stripe_at(size);
  if (file == end.file) return end.offset;
  const std::uint64_t rows = size >> kStripeShift;  // whole ones
  return (rows / kStripeFiles + (file < end.file ? 1 : 0)) << kStripeShift;
}

}  // namespace benchfs
