// The table of benchfsd's settings as rows, and the rules that tie settings to each other.
#include "base/server_config.hpp"

#include <fmt/format.h>

#include "base/client_config.hpp"

namespace benchfs {
namespace config {
namespace {
using Self = ServerConfig;
constexpr Option kServerOptions[] = {BENCHFS_SERVER_CONFIG(BENCHFS_CONFIG_OPTION)};
}  // namespace
}  // namespace config

config::Options server_options() {
  return config::kServerOptions;
}

std::expected<LoadedServerConfig, std::string> load_server_config(const config::Sources& sources) {
  LoadedServerConfig loaded;
  auto outcome = config::read(server_options(), client_options(), sources, &loaded.config);
  if (!outcome) return std::unexpected(outcome.error());
  loaded.outcome = std::move(*outcome);
  if (loaded.outcome.action == config::Action::run) {
    auto checked = check_server_config(loaded.config);
    if (!checked) return std::unexpected(checked.error());
  }
  return loaded;
}

std::expected<void, std::string> check_server_config(const ServerConfig& config) {
  if (config.pool_bytes < 2 * config.rpc_bytes_max)
    return std::unexpected(
        fmt::format("pool_bytes ({}) must be at least two times rpc_bytes_max ({})",
                    exact_size(config.pool_bytes), exact_size(config.rpc_bytes_max)));
  if (config.eager_max_bytes > config.rpc_bytes_max)
    return std::unexpected(fmt::format("eager_max ({}) must not exceed rpc_bytes_max ({})",
                                       exact_size(config.eager_max_bytes),
                                       exact_size(config.rpc_bytes_max)));
  if (!config.servers.empty() && config.servers.size() < config.expected_servers)
    return std::unexpected(
        fmt::format("expected_servers is {}, but servers names only {} addresses",
                    config.expected_servers, config.servers.size()));
  return {};
}

}  // namespace benchfs
