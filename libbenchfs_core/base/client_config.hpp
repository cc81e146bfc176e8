// The settings of a client session: the one table that its struct, file keys, variables and reference
// are made of.
#pragma once
#include <expected>
#include <string>

#include "base/config.hpp"
#include "base/text.hpp"
#include "base/types.hpp"

namespace benchfs {

/// Which payloads carry a checksum.
enum class ChecksumMode : std::uint8_t { off, wire };
template <>
struct EnumNames<ChecksumMode> {
  static constexpr std::array<std::string_view, 2> kNames{"off", "wire"};
};

// clang-format off
// X(type, key, member of ClientConfig, default, help, rule)
#define BENCHFS_CLIENT_CONFIG(X)                                                                    \
  X(config::Path, registry, registry, "",                                                           \
    "Registry directory of the cluster.",                                                           \
    )                                                                                               \
  X(config::List, servers, servers, {},                                                             \
    "Addresses of any servers of the cluster; used instead of the registry where both are set.",    \
    .valid = config::valid_host_port, .accepted = "host:port")                                      \
  X(config::Path, secret_file, secret_file, "",                                                     \
    "File with the job's secret. Empty: the one in the registry.",                                  \
    )                                                                                               \
  X(config::DurationMs, deadline, deadline_ms, 30'000,                                              \
    "Longest time that any call may take.",                                                         \
    .min = 100, .max = 3600'000)                                                                    \
  X(config::DurationMs, failure_detect, failure_detect_ms, 3'000,                                   \
    "Silence after which a server counts as dead.",                                                 \
    .min = 100, .max = 600'000)                                                                     \
  X(config::DurationUs, spin, spin_us, 50,                                                          \
    "How long a waiting call polls before it sleeps: latency against processor time.",              \
    .min = 0, .max = 1'000'000)                                                                     \
  X(config::Size, eager_max, eager_max_bytes, 32 * kKiB,                                            \
    "Largest data sent inside a message; more goes by rendezvous (RDMA where there is any).",       \
    .min = 0, .max = kMiB)                                                                          \
  X(config::Size, rpc_bytes_max, rpc_bytes_max, kMiB,                                               \
    "Most data that one request carries; a server's own limit is respected where it is lower.",     \
    .min = 64 * kKiB, .max = 16 * kMiB)                                                             \
  X(config::Integer, credits, credits, 16,                                                          \
    "Requests in flight per server.",                                                               \
    .min = 1, .max = 1024)                                                                          \
  X(config::Integer, list_max, list_max, 4096,                                                      \
    "Most pieces of a list request in one message.",                                                \
    .min = 1, .max = 65'536)                                                                        \
  X(config::Size, chunk_size, chunk_bytes, 0,                                                       \
    "Striping unit of files that this client creates.",                                             \
    .min = kChunkBytesMin, .max = kChunkBytesMax, .power_of_two = true,                             \
    .zero = "the cluster's default")                                                                \
  X(config::DurationMs, cache_ttl, cache_ttl_ms, 1'000,                                             \
    "How long paths may lead through directories as they were last seen; 0: they are always asked for.", \
    .min = 0, .max = 60'000)                                                                        \
  X(config::DurationMs, cache_attributes_ttl, cache_attributes_ttl_ms, 0,                           \
    "How long stat may answer with attributes and sizes as they were last seen; 0: they are always asked for.", \
    .min = 0, .max = 60'000)                                                                        \
  X(config::Integer, cache_entries, cache_entries, 4096,                                            \
    "Most directory entries, and most attributes, that are remembered.",                            \
    .min = 1, .max = 1'000'000)                                                                     \
  X(config::Boolean, local_access, local_access, true,                                              \
    "Read and write the chunk files of servers on this host directly, without messages.", )         \
  X(config::Boolean, progress_thread, progress_thread, false,                                       \
    "A thread that moves nonblocking operations on while the program computes.", )                  \
  X(config::Choice<ChecksumMode>, checksum, checksum, ChecksumMode::off,                            \
    "wire: data carry a CRC32C on their way, in both directions, that the receiver verifies.",      \
    )                                                                                               \
  X(config::Choice<LogLevel>, log_level, log_level, LogLevel::warn,                                 \
    "Least severe events that are logged.",                                                         \
    )                                                                                               \
  X(config::Path, log_file, log_file, "",                                                           \
    "File that the log is appended to. Empty: standard error.",                                     \
    )
// clang-format on

struct ClientConfig {
  BENCHFS_CLIENT_CONFIG(BENCHFS_CONFIG_MEMBER)
};

/// The table above; lives forever.
config::Options client_options();

struct LoadedClientConfig {
  ClientConfig config;
  config::Outcome outcome;
};
/// Reads flags (none in the library), environment, file (BENCHFS_CONFIG) and checks the settings against
/// each other.
std::expected<LoadedClientConfig, std::string> load_client_config(const config::Sources& sources);
/// The settings checked against each other; part of load_client_config().
std::expected<void, std::string> check_client_config(const ClientConfig& config);

}  // namespace benchfs
