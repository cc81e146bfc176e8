// The C interface: space.
#include <fmt/format.h>

#include "client/capi.hpp"
#include "client/statfs.hpp"

using namespace benchfs;
using namespace benchfs::capi;

int benchfs_statfs(benchfs_t* fs, struct benchfs_statfs* space) {
  return guarded([&]() -> int {
    Client& client = client_of(fs);
    return static_cast<int>(run(client, "statfs", "", [&] { return client.statfs(space); }));
  });
}

int benchfs_server_statfs(benchfs_t* fs, int server, struct benchfs_statfs* space) {
  return guarded([&]() -> int {
    Client& client = client_of(fs);
    const auto& servers = client.cluster().servers;
    if (server < 0 || static_cast<std::size_t>(server) >= servers.size()) {
      return set_error(EINVAL,
                       fmt::format("statfs: no server {} (there are {})", server, servers.size()));
    }
    const auto answer =
        result_of(client, [&] { return client.server_space(static_cast<ServerIndex>(server)); });
    if (!answer) return static_cast<int>(set_error(client, "statfs", "", answer.error()));
    const SpaceOfServer one{servers[static_cast<std::size_t>(server)].host_id, *answer};
    *space = sum_of({&one, 1});
    return 0;
  });
}
