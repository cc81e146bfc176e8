// Messages 74 and 75: which sessions have a file open, at its home.
#pragma once
#include <cstdint>

#include "base/types.hpp"
#include "wire/attributes.hpp"
#include "wire/header.hpp"

namespace benchfs::wire {

/// The caller has the file open, until it releases it or its session ends: what an Open at the home
/// says by the way, for a file whose entry is on another server. With kAgain, of a file that was
/// held in an earlier session of the same caller, also if it has lost its last name since. Error:
/// not_found, is_directory.
struct Hold {
  static constexpr std::uint16_t kId = 74;
  static constexpr const char* kName = "hold";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = 0;
  static constexpr std::uint32_t kAgain = 1;
  struct Request {
    std::uint64_t inode;
    std::uint32_t flags;
    std::uint32_t zero;
  };
  struct Reply {
    Attributes attributes;
  };
};
/// The caller has closed files that were opened or held: one for each inode in the payload, which
/// may be there several times. A file that nobody has open any more and that has no name goes
/// before the reply comes; its data afterwards.
struct Release {
  static constexpr std::uint16_t kId = 75;
  static constexpr const char* kName = "release";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kInodesMax = 64;
  static constexpr std::uint32_t kPayloadMax = kInodesMax * sizeof(InodeId);
  struct Request {
    std::uint32_t inodes;  ///< at least 1
    std::uint32_t zero;
  };
  using Reply = Empty;
};

}  // namespace benchfs::wire
