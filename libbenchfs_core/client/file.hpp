// An open file as the client sees it: identity, geometry, and what this session has written to it.
#pragma once
#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/types.hpp"
#include "client/local_access.hpp"

namespace benchfs {

class Client;

struct OpenFile {
  Client* client = nullptr;
  std::string path;
  InodeId inode = 0;
  std::uint64_t chunk_bytes = 0;
  bool readable = false;
  bool writable = false;
  std::uint32_t requests = 0;  ///< operations in flight

  // What the home server has not been told yet.
  std::uint64_t written_end = 0;  ///< end of the farthest write since the last merge
  bool size_dirty = false;        ///< there was a write since the last merge
  bool merge_next = false;        ///< the next write may tell the size by the way: it is the first
  bool spread = false;            ///< the home knows that there is data beyond chunk 0
  /// Servers that have data of this session which was not synced, by index.
  std::vector<bool> dirty_servers;

  // Access without messages, client/local_access.hpp.
  std::unique_ptr<LocalFiles> local;  ///< null: not used yet
  bool local_refused = false;         ///< no more descriptors: not tried again
  std::uint32_t transfers = 0;        ///< counted until it is used

  /// There was a create or a size change since the last sync.
  bool metadata_dirty = false;

  std::uint32_t chunk_shift() const {
    return static_cast<std::uint32_t>(std::countr_zero(chunk_bytes));
  }
};

}  // namespace benchfs
