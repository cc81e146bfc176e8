// The settings of benchfsd: the one table that its struct, file keys, variables, flags, help text and
// reference are made of.
#pragma once
#include <expected>
#include <string>

#include "base/config.hpp"
#include "base/text.hpp"
#include "base/types.hpp"

namespace benchfs {

/// How chunks are read and written.
enum class IoMode : std::uint8_t { automatic, ring, direct, plain, memory };
template <>
struct EnumNames<IoMode> {
  static constexpr std::array<std::string_view, 5> kNames{"auto", "ring", "direct", "plain",
                                                          "memory"};
};

// clang-format off
// X(type, key, member of ServerConfig, default, help, rule)
#define BENCHFS_SERVER_CONFIG(X)                                                                    \
  X(config::Path, data_dir, data_dir, "",                                                           \
    "Directory for this server's data and metadata; made with mode 0700 if it is missing.",         \
    .required = true)                                                                               \
  X(config::Path, registry, registry, "",                                                           \
    "Directory on a shared file system where servers and clients meet. Empty: `servers` is used.",  \
    )                                                                                               \
  X(config::List, servers, servers, {},                                                             \
    "Addresses of all servers, for a cluster without a registry.",                                  \
    .valid = config::valid_host_port, .accepted = "host:port")                                      \
  X(config::String, listen, listen, "127.0.0.1:0",                                                  \
    "Address or network interface to listen on, with an optional port; port 0 is any free one.",    \
    .valid = config::valid_listen, .accepted = "ADDRESS[:PORT] or INTERFACE[:PORT]")                \
  X(config::String, server_id, server_id, "",                                                       \
    "Name of this server in the cluster. Empty: the one kept in the data directory, else a new one.", \
    .valid = config::valid_server_id, .accepted = "1 to 63 of A-Z a-z 0-9 . _ - without a leading dot") \
  X(config::Integer, expected_servers, expected_servers, 1,                                         \
    "Number of servers that the cluster starts with.",                                              \
    .min = 1, .max = kServersMax)                                                                   \
  X(config::DurationMs, bootstrap_timeout, bootstrap_timeout_ms, 60'000,                            \
    "How long to wait for the expected servers.",                                                   \
    .min = 100, .max = 24 * 3600'000)                                                               \
  X(config::Path, secret_file, secret_file, "",                                                     \
    "File with the job's secret: 32 to 4096 bytes, mode 0600. Empty: the one in the registry.",     \
    )                                                                                               \
  X(config::Size, chunk_size, chunk_bytes, kChunkBytesDefault,                                      \
    "Striping unit of new files that do not ask for one.",                                          \
    .min = kChunkBytesMin, .max = kChunkBytesMax, .power_of_two = true)                             \
  X(config::DurationMs, deadline, deadline_ms, 30'000,                                              \
    "Longest time that any call between servers may take.",                                         \
    .min = 100, .max = 3600'000)                                                                    \
  X(config::DurationMs, failure_detect, failure_detect_ms, 3'000,                                   \
    "Silence after which another process counts as dead.",                                          \
    .min = 100, .max = 600'000)                                                                     \
  X(config::DurationUs, spin, spin_us, 50,                                                          \
    "How long an idle loop polls before it sleeps: latency against processor time.",                \
    .min = 0, .max = 1'000'000)                                                                     \
  X(config::Size, eager_max, eager_max_bytes, 32 * kKiB,                                            \
    "Largest data sent inside a message; more goes by rendezvous (RDMA where there is any).",       \
    .min = 0, .max = kMiB)                                                                          \
  X(config::Size, rpc_bytes_max, rpc_bytes_max, kMiB,                                               \
    "Most data that one request may carry.",                                                        \
    .min = 64 * kKiB, .max = 16 * kMiB)                                                             \
  X(config::Size, pool_bytes, pool_bytes, 64 * kMiB,                                                \
    "Memory for data in flight; at least two times `rpc_bytes_max`.",                               \
    .min = 4 * kMiB, .max = kTiB)                                                                   \
  X(config::Size, max_storage, max_storage_bytes, 0,                                                \
    "Most file data that this server stores, as its chunk files take storage.",                     \
    .min = kMiB, .max = 1024 * 1024 * kTiB, .zero = "all of the device, but a reserve")             \
  X(config::Integer, open_files_max, open_files_max, 1024,                                          \
    "Chunk files kept open.",                                                                       \
    .min = 16, .max = 1'000'000)                                                                    \
  X(config::Boolean, local_access, local_access, true,                                              \
    "Let clients of the same user on this host read and write the stored data directly."            \
    " Not with io_mode direct.",                                                                    \
    )                                                                                               \
  X(config::Choice<IoMode>, io_mode, io_mode, IoMode::automatic,                                    \
    "auto: memory on tmpfs of 1 GiB and more, plain on smaller ones, ring elsewhere; ring: io_uring;" \
    " direct: io_uring with O_DIRECT where aligned; plain: system calls; memory: copies to and from" \
    " one mapped file, tmpfs only.",                                                                \
    )                                                                                               \
  X(config::DurationMs, warm_up, warm_up_ms, 200,                                                   \
    "Time that a server may take at start, beside its work, to set memory aside for file data"      \
    " (io_mode memory).",                                                                           \
    .min = 0, .max = 60'000)                                                                        \
  X(config::Integer, ring_entries, ring_entries, 256,                                               \
    "Submission queue entries of the io_uring.",                                                    \
    .min = 8, .max = 4096, .power_of_two = true)                                                    \
  X(config::Integer, max_sessions, max_sessions, 131'072,                                           \
    "Most client sessions at once.",                                                                \
    .min = 1, .max = 16'777'216)                                                                    \
  X(config::Choice<LogLevel>, log_level, log_level, LogLevel::info,                                 \
    "Least severe events that are logged.",                                                         \
    )                                                                                               \
  X(config::Path, log_file, log_file, "",                                                           \
    "File that the log is appended to. Empty: standard error.",                                     \
    )
// clang-format on

struct ServerConfig {
  BENCHFS_SERVER_CONFIG(BENCHFS_CONFIG_MEMBER)
};

/// The table above; lives forever.
config::Options server_options();

struct LoadedServerConfig {
  ServerConfig config;
  config::Outcome outcome;
};
/// Reads flags, environment, file (--config or BENCHFS_CONFIG) and checks the settings against each
/// other. On Action::help, version or print_config the config is what was read, unchecked.
std::expected<LoadedServerConfig, std::string> load_server_config(const config::Sources& sources);
/// The settings checked against each other; part of load_server_config().
std::expected<void, std::string> check_server_config(const ServerConfig& config);

}  // namespace benchfs
