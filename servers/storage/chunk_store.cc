// Which way to keep data.
#include "storage/chunk_store.hpp"

#include <unistd.h>

#include "base/log.hpp"
#include "storage/arena.hpp"
#include "storage/chunks_folder.hpp"
#include "storage/file_chunks.hpp"
#include "storage/memory_chunks.hpp"

namespace benchfs {
namespace {

/// On less, what the arena sets aside would be much of it.
constexpr std::uint64_t kArenaFrom = 1ull << 30;

struct Place {
  bool memory = false;
  bool large = false;
};

Result<Place> look_at(const std::string& data_dir) {
  BFS_TRY(folder, open_chunks_folder(data_dir));
  Place place;
  place.memory = is_memory(folder);
  const auto device = device_of(folder);
  ::close(folder);
  if (!device) return std::unexpected(device.error());
  place.large = device->bytes >= kArenaFrom || device->bytes == 0;  // ramfs has no size
  return place;
}

}  // namespace

Result<std::unique_ptr<ChunkStore>> ChunkStore::create(Options options, Ring* ring,
                                                       Offload& offload) {
  BFS_TRY(place, look_at(options.data_dir));
  const bool asked = options.io_mode == IoMode::memory;
  if (asked && !place.memory) {
    log_error("io_mode is memory, but {} is not on tmpfs or ramfs", options.data_dir);
    return fail(Errc::invalid, EINVAL);
  }
  if (asked || (options.io_mode == IoMode::automatic && place.memory && place.large)) {
    const std::string folder = chunks_folder(options.data_dir);
    auto made = std::make_unique<MemoryChunks>(options, offload);
    const Status started = made->start();
    if (started) return made;
    // What an arena has can be had in no other way.
    if (asked || Arena::exists(folder)) return std::unexpected(started.error());
    log_warn("no arena in {}: data are in local files there", options.data_dir);
  }
  auto made = std::make_unique<FileChunks>(std::move(options), ring, offload);
  BFS_CHECK(started, made->start());
  return made;
}

}  // namespace benchfs
