// The table of the client's settings as rows, and the rules that tie settings to each other.
#include "base/client_config.hpp"

#include <fmt/format.h>

#include "base/server_config.hpp"

namespace benchfs {
namespace config {
namespace {
using Self = ClientConfig;
constexpr Option kClientOptions[] = {BENCHFS_CLIENT_CONFIG(BENCHFS_CONFIG_OPTION)};
}  // namespace
}  // namespace config

config::Options client_options() {
  return config::kClientOptions;
}

std::expected<LoadedClientConfig, std::string> load_client_config(const config::Sources& sources) {
  LoadedClientConfig loaded;
  auto outcome = config::read(client_options(), server_options(), sources, &loaded.config);
  if (!outcome) return std::unexpected(outcome.error());
  loaded.outcome = std::move(*outcome);
  if (loaded.outcome.action == config::Action::run) {
    auto checked = check_client_config(loaded.config);
    if (!checked) return std::unexpected(checked.error());
  }
  return loaded;
}

std::expected<void, std::string> check_client_config(const ClientConfig& config) {
  if (config.eager_max_bytes > config.rpc_bytes_max)
    return std::unexpected(fmt::format("eager_max ({}) must not exceed rpc_bytes_max ({})",
                                       exact_size(config.eager_max_bytes),
                                       exact_size(config.rpc_bytes_max)));
  return {};
}

}  // namespace benchfs
