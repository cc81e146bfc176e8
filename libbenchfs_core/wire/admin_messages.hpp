// Messages 70 to 79: what a server says of itself.
#pragma once
#include <cstdint>

#include "wire/header.hpp"

namespace benchfs::wire {

struct ServerStatus {
  static constexpr std::uint16_t kId = 70;
  static constexpr const char* kName = "server_status";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  using Request = Empty;
  struct Reply {
    std::uint64_t epoch, uptime_ms, files, stored_bytes, capacity_bytes, free_bytes, sessions,
        requests, read_bytes, written_bytes;
  };
};

/// The storage of a server, and what it may take of it.
struct ServerSpace {
  static constexpr std::uint16_t kId = 71;
  static constexpr const char* kName = "server_space";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  using Request = Empty;
  struct Reply {
    std::uint64_t device;  ///< tells the file systems of one host apart: servers may share one
    std::uint32_t block_bytes;
    std::uint32_t set_aside_blocks;  ///< of what is free and available: for this server's file data
    std::uint64_t device_bytes;      ///< size of the file system under the data directory
    std::uint64_t device_free;       ///< bytes of it that nobody uses
    std::uint64_t device_available;  ///< bytes of those that this server's user may take
    std::uint64_t device_files;      ///< that can still be made on it; ~0: it has no limit
    std::uint64_t limit_bytes;    ///< most file data that the server takes; 0: no limit of its own
    std::uint64_t reserve_bytes;  ///< of what is available, kept from file data
    std::uint64_t stored_bytes;   ///< allocated by file data
    std::uint64_t room_bytes;     ///< that file data may still take
    std::uint64_t files;          ///< inodes whose home it is
  };
};

}  // namespace benchfs::wire
