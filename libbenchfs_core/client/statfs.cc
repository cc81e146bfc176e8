// Space over all servers. Each names the file system under its data directory; what the servers of
// one such file system have together is never more than what it has.
#include "client/statfs.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/path.hpp"
#include "client/client.hpp"

namespace benchfs {

std::uint64_t set_aside(const wire::ServerSpace::Reply& space) {
  return std::uint64_t{space.set_aside_blocks} * space.block_bytes;
}

struct benchfs_statfs sum_of(std::span<const SpaceOfServer> servers) {
  struct Storage {
    std::uint64_t total = 0, free = 0, room = 0;  ///< sums of what the servers may have
    std::uint64_t aside = 0;                      ///< for the data of one server each
    std::uint64_t reserve = ~0ull;
    const wire::ServerSpace::Reply* device = nullptr;  ///< as the last one has seen it
  };
  std::map<std::pair<std::uint64_t, std::uint64_t>, Storage> storages;
  struct benchfs_statfs sum {};
  sum.name_max = kNameBytesMax;
  sum.path_max = kPathBytesMax;
  for (const auto& [host_id, space] : servers) {
    sum.stored_bytes += space.stored_bytes;
    sum.files += space.files;
    sum.block_bytes = std::max<std::uint64_t>(sum.block_bytes, space.block_bytes);
    Storage& storage = storages[{host_id, space.device}];
    storage.device = &space;
    storage.reserve = std::min(storage.reserve, space.reserve_bytes);
    storage.room += space.room_bytes;
    storage.aside += set_aside(space);
    if (space.limit_bytes == 0) {
      storage.total += space.device_bytes;
      storage.free += space.device_free;
    } else {
      storage.total += std::min(space.limit_bytes, space.device_bytes);
      storage.free += space.limit_bytes - std::min(space.limit_bytes, space.stored_bytes);
    }
  }
  for (const auto& [place, storage] : storages) {
    const wire::ServerSpace::Reply& device = *storage.device;
    // What this one sees as free, and what it does not see, as others have set it aside.
    const std::uint64_t for_all = device.device_available - set_aside(device);
    const std::uint64_t usable = for_all - std::min(for_all, storage.reserve) + storage.aside;
    const std::uint64_t free = device.device_free - set_aside(device) + storage.aside;
    const std::uint64_t available = std::min(storage.room, usable);
    sum.total_bytes += std::min(storage.total, device.device_bytes);
    sum.free_bytes += std::max(available, std::min(storage.free, free));
    sum.available_bytes += available;
    std::uint64_t files = available / std::max<std::uint64_t>(device.block_bytes, 1);
    sum.free_files += std::min(files, device.device_files);
  }
  return sum;
}

Task<Result<wire::ServerSpace::Reply>> Client::server_space(ServerIndex server) {
  const wire::Empty nothing{};
  BFS_CO_TRY(answer, co_await caller_->call<wire::ServerSpace>(server, nothing));
  co_return answer.body;
}

Task<Outcome> Client::statfs(struct benchfs_statfs* into) {
  holds_->tell_all();
  std::vector<Task<Result<wire::ServerSpace::Reply>>> asking;
  for (ServerIndex i = 0; i < cluster_->servers.size(); ++i) asking.push_back(server_space(i));
  std::vector<SpaceOfServer> spaces;
  std::optional<Error> failed;
  for (std::size_t i = 0; i < asking.size(); ++i) {
    Task<Result<wire::ServerSpace::Reply>>& task = asking[i];
    const Result<wire::ServerSpace::Reply> answer = co_await task;
    if (answer) {
      spaces.push_back({cluster_->servers[i].host_id, *answer});
    } else if (!failed) {
      failed = answer.error();
    }
  }
  if (failed) co_return std::unexpected(*failed);
  *into = sum_of(spaces);
  co_return 0;
}

}  // namespace benchfs
