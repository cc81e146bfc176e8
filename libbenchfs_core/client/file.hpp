// An open file as the client sees it: identity, geometry, and what this session has written to it.
#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/types.hpp"
#include "client/local_access.hpp"
#include "loop/sync.hpp"

namespace benchfs {

class Client;

/// What a write waits for besides its being seen: O_DSYNC, O_SYNC.
enum class Through : std::uint8_t { nothing, data, all };

/// What an open asks for beyond wire::Open's flags.
struct OpenMode {
  bool readable = false;
  bool writable = false;
  bool follow = true;      ///< a symbolic link at the end of the path; else it is an error
  bool directory = false;  ///< has to be one
  bool append = false;
  Through through = Through::nothing;
};

struct OpenFile {
  Client* client = nullptr;
  std::string path;
  InodeId inode = 0;
  std::uint64_t chunk_bytes = 0;
  bool readable = false;
  bool writable = false;
  bool directory = false;
  std::uint32_t requests = 0;  ///< operations in flight

  // What its home knows of the open, client/holds.hpp.
  bool held = false;            ///< it counts it
  bool imported = false;        ///< the process that exported it is counted
  bool nameless = false;        ///< known to have lost its last name
  std::uint64_t unlinks = 0;    ///< of this session, when it was opened
  std::uint64_t size_seen = 0;  ///< at least that large
  std::int64_t opened_ns = 0;

  // Calls without an offset, one after the other.
  std::uint64_t position = 0;
  bool append = false;
  Through through = Through::nothing;
  Semaphore position_turn{1};

  // The lock of the whole file: wire::Lock's mode, 0: none.
  std::uint32_t flock_mode = 0;
  std::uint64_t flock_token = 0;
  Semaphore flock_turn{1};

  // What the home server has not been told yet.
  std::uint64_t written_end = 0;   ///< end of the farthest write since the last merge
  bool size_dirty = false;         ///< there was a write since the last merge
  bool merge_next = false;         ///< the next write may tell the size by the way: it is the first
  bool spread = false;             ///< the home knows that there is data beyond chunk 0
  bool written_elsewhere = false;  ///< this also tells what other sessions wrote, on any server
  /// Servers that have data of this session which was not synced, by index.
  std::vector<bool> dirty_servers;

  // Access without messages, client/local_access.hpp.
  std::unique_ptr<LocalFiles> local;  ///< null: not used yet
  bool local_refused = false;         ///< no more descriptors: not tried again
  std::uint32_t transfers = 0;        ///< counted until it is used

  /// There was a create or a size change since the last sync.
  bool metadata_dirty = false;
  /// Or a change of other attributes.
  bool attributes_dirty = false;

  /// It is at least that large.
  void saw_size(std::uint64_t size) { size_seen = std::max(size_seen, size); }
  /// A write up to `end` that its home has not been told of.
  void wrote_to(std::uint64_t end) {
    written_end = std::max(written_end, end);
    size_dirty = true;
  }
  std::uint32_t chunk_shift() const {
    return static_cast<std::uint32_t>(std::countr_zero(chunk_bytes));
  }
};

}  // namespace benchfs
