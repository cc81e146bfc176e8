// The C interface: error texts, requests, sessions, facts of the cluster.
#include "config.h"

#include "client/capi.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/text.hpp"

namespace benchfs::capi {
namespace {

thread_local std::string last_error;

}  // namespace

int set_error(int error, std::string text) {
  last_error = std::move(text);
  return -error;
}

std::int64_t set_error(const Client& client, std::string_view operation, std::string_view path,
                       const Error& error) {
  std::string text(operation);
  if (!path.empty()) text += fmt::format(" benchfs:{}", path);
  if (error.server >= 0 &&
      static_cast<std::size_t>(error.server) < client.cluster().servers.size()) {
    const ServerRecord& server = client.cluster().servers[static_cast<std::size_t>(error.server)];
    text += fmt::format(": server {} ({}:{} on {})", server.id, server.bootstrap_host,
                        server.bootstrap_port, server.host);
  }
  text += fmt::format(": {}", to_text(error.code));
  if (error.code == Errc::timed_out) {
    text += fmt::format(" ({})", format_duration(client.config().deadline_ms * 1'000'000));
  }
  return set_error(to_errno(error.code), std::move(text));
}

std::int64_t finish(Request* request) {
  const std::unique_ptr<Request> owned(request);
  const Outcome outcome = request->task->take();
  request->client.request_ended();
  if (request->file != nullptr) --request->file->requests;
  if (outcome) return *outcome;
  const Error error =
      request->file != nullptr ? of_open_file(request->file, outcome.error()) : outcome.error();
  return set_error(request->client, request->operation, request->path, error);
}

std::optional<std::string> take_path(const Client& client, const char* operation, const char* path,
                                     int& error) {
  auto canonical = canonical_path(path == nullptr ? std::string_view() : std::string_view(path));
  if (canonical) return std::move(*canonical);
  error = static_cast<int>(
      set_error(client, operation, path == nullptr ? "" : path, canonical.error()));
  return std::nullopt;
}

}  // namespace benchfs::capi

using namespace benchfs;
using namespace benchfs::capi;

const char* benchfs_error(void) {
  return last_error.c_str();
}

const char* benchfs_version(void) {
  return PACKAGE_VERSION;
}

int benchfs_connect(const char* cluster, benchfs_t** fs) {
  return guarded([&]() -> int {
    auto client = Client::connect(cluster);
    if (!client) return set_error(client.error().error, std::move(client.error().text));
    *fs = handle_of(client->release());
    return 0;
  });
}

int benchfs_disconnect(benchfs_t* fs) {
  return guarded([&]() -> int {
    Client* client = &client_of(fs);
    {
      const Client::Lock lock(*client);
      if (client->busy())
        return set_error(EBUSY, "disconnect: files are open or requests in flight");
    }
    delete client;
    return 0;
  });
}

int benchfs_test(benchfs_request_t* handle, std::int64_t* result) {
  return guarded([&]() -> int {
    Request* request = request_of(handle);
    if (request->client.left_to_progress()) return 0;
    const Client::Lock lock(request->client);
    if (!request->task->done()) request->client.turn();
    if (!request->task->done()) return 0;
    *result = finish(request);
    return 1;
  });
}

std::int64_t benchfs_wait(benchfs_request_t* handle) {
  return guarded([&]() -> std::int64_t {
    Request* request = request_of(handle);
    const Client::Lock lock(request->client);
    request->client.run_until_done(*request->task);
    return finish(request);
  });
}

int benchfs_progress(benchfs_t* fs) {
  return guarded([&]() -> int {
    const Client::Lock lock(client_of(fs));
    return client_of(fs).turn() ? 1 : 0;
  });
}

int benchfs_server_count(benchfs_t* fs) {
  return static_cast<int>(client_of(fs).cluster().servers.size());
}

const char* benchfs_server_host(benchfs_t* fs, int server) {
  const auto& servers = client_of(fs).cluster().servers;
  if (server < 0 || static_cast<std::size_t>(server) >= servers.size()) return nullptr;
  return servers[static_cast<std::size_t>(server)].host.c_str();
}

int benchfs_local_access(benchfs_file_t* handle) {
  OpenFile* file = file_of(handle);
  const Client::Lock lock(*file->client);
  return !file->local_refused && file->client->local().all_usable() ? 1 : 0;
}

int benchfs_owner(const benchfs_file_t* handle, std::uint64_t offset) {
  const OpenFile* file = file_of(handle);
  return file->client->map().owner(file->inode, offset >> file->chunk_shift());
}

const char* benchfs_cluster_id(benchfs_t* fs) {
  return client_of(fs).cluster_id_text().data();
}

std::uint64_t benchfs_epoch(benchfs_t* fs) {
  return client_of(fs).cluster().epoch;
}

int benchfs_sync_all(benchfs_t* fs) {
  return guarded([&]() -> int {
    Client& client = client_of(fs);
    return static_cast<int>(run(client, "sync", "", [&] { return client.sync_all(); }));
  });
}

int benchfs_server_status(benchfs_t* fs, int server, struct benchfs_server_status* status) {
  return guarded([&]() -> int {
    Client& client = client_of(fs);
    const auto& servers = client.cluster().servers;
    if (server < 0 || static_cast<std::size_t>(server) >= servers.size()) {
      return set_error(EINVAL,
                       fmt::format("status: no server {} (there are {})", server, servers.size()));
    }
    const ServerRecord& record = servers[static_cast<std::size_t>(server)];
    *status = {};
    const auto copy = [](char* to, std::size_t room, const std::string& from) {
      std::memcpy(to, from.data(), std::min(from.size(), room - 1));
    };
    copy(status->id, sizeof(status->id), record.id);
    copy(status->host, sizeof(status->host), record.host);
    copy(status->address, sizeof(status->address),
         fmt::format("{}:{}", record.bootstrap_host, record.bootstrap_port));
    status->pid = record.pid;
    const auto answer =
        result_of(client, [&] { return client.server_status(static_cast<ServerIndex>(server)); });
    if (!answer) return static_cast<int>(set_error(client, "status", "", answer.error()));
    status->epoch = answer->epoch;
    status->uptime_ms = answer->uptime_ms;
    status->files = answer->files;
    status->stored_bytes = answer->stored_bytes;
    status->capacity_bytes = answer->capacity_bytes;
    status->free_bytes = answer->free_bytes;
    status->sessions = answer->sessions;
    status->requests = answer->requests;
    status->read_bytes = answer->read_bytes;
    status->written_bytes = answer->written_bytes;
    return 0;
  });
}
