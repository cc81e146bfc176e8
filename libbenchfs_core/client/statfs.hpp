// Space of a file system from what its servers say of theirs. Private to client/.
#pragma once
#include <cstdint>
#include <span>

#include "benchfs.h"
#include "wire/messages.hpp"

namespace benchfs {

/// What one server says, and where it runs.
struct SpaceOfServer {
  std::uint64_t host_id;
  wire::ServerSpace::Reply space;
};

/// Storage that several servers share counts once: they have the same host and device.
struct benchfs_statfs sum_of(std::span<const SpaceOfServer> servers);

}  // namespace benchfs
