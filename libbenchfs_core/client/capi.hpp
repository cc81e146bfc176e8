// What the files of the C interface share: handles, error texts, and running an operation as a
// blocking call or as a request. No exception leaves the C interface.
#pragma once
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/path.hpp"
#include "benchfs.h"
#include "client/client.hpp"

namespace benchfs::capi {

// The opaque types of benchfs.h are these.
inline Client& client_of(benchfs_t* fs) {
  return *reinterpret_cast<Client*>(fs);
}
inline benchfs_t* handle_of(Client* client) {
  return reinterpret_cast<benchfs_t*>(client);
}
inline OpenFile* file_of(benchfs_file_t* file) {
  return reinterpret_cast<OpenFile*>(file);
}
inline const OpenFile* file_of(const benchfs_file_t* file) {
  return reinterpret_cast<const OpenFile*>(file);
}
inline benchfs_file_t* handle_of(OpenFile* file) {
  return reinterpret_cast<benchfs_file_t*>(file);
}
inline OpenDirectory* directory_of(benchfs_dir_t* directory) {
  return reinterpret_cast<OpenDirectory*>(directory);
}
inline benchfs_dir_t* handle_of(OpenDirectory* directory) {
  return reinterpret_cast<benchfs_dir_t*>(directory);
}

/// Sets the calling thread's error text; returns -error.
int set_error(int error, std::string text);
/// "open /a/b: server s1 (host): no such file or directory".
std::int64_t set_error(const Client& client, std::string_view operation, std::string_view path,
                       const Error& error);

/// One operation: a coroutine and what it refers to.
struct Request {
  Request(Client& owner, const char* name, std::string subject)
      : client(owner), operation(name), path(std::move(subject)) {}
  Client& client;
  const char* operation;
  std::string path;
  OpenFile* file = nullptr;  ///< counted as having an operation in flight
  std::vector<benchfs_extent> extents;
  std::vector<iovec> memory;
  std::optional<Task<Outcome>> task;
};
inline benchfs_request_t* handle_of(Request* request) {
  return reinterpret_cast<benchfs_request_t*>(request);
}
inline Request* request_of(benchfs_request_t* request) {
  return reinterpret_cast<Request*>(request);
}

/// Starts `make(request)` as the request's task, under the session's lock, and hands the request
/// out.
template <class Make>
int start(std::unique_ptr<Request> request, Make make, benchfs_request_t** out) {
  Client& client = request->client;
  const Client::Lock lock(client);
  client.request_started();
  if (request->file != nullptr) ++request->file->requests;
  request->task.emplace(make(*request));
  *out = handle_of(request.release());
  return 0;
}
/// Takes the result of a request that is done, under the lock; frees it; sets the error text.
std::int64_t finish(Request* request);

/// Runs `make()` to its end: its result.
template <class Make>
auto result_of(Client& client, Make make) {
  const Client::Lock lock(client);
  return client.run(make());
}

/// The same, as a call gives it.
template <class Make>
std::int64_t run(Client& client, const char* operation, std::string_view path, Make make) {
  const Outcome outcome = result_of(client, make);
  if (!outcome) return set_error(client, operation, path, outcome.error());
  return *outcome;
}

/// What an operation on an open file could not find is the file: its home has lost it (benchfs.h).
inline Error of_open_file(const OpenFile* file, Error error) {
  if (error.code == Errc::not_found && !file->directory) error.code = Errc::gone;
  return error;
}
/// The outcome of an operation on an open file, as a call gives it.
inline std::int64_t given(const OpenFile* file, const char* operation, const Outcome& outcome) {
  if (outcome) return *outcome;
  return set_error(*file->client, operation, file->path, of_open_file(file, outcome.error()));
}
/// Such an operation, run to its end.
template <class Make>
std::int64_t run_on(const OpenFile* file, const char* operation, Make make) {
  return given(file, operation, result_of(*file->client, make));
}

/// Calls `body` and turns what it throws (bad_alloc is all there is) into an error.
template <class Body>
auto guarded(const Body& body) noexcept -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return set_error(ENOMEM, "out of memory");
  } catch (...) {
    return set_error(EIO, "unexpected exception in the client");
  }
}

/// The canonical form of a caller's path; on failure sets the error and returns nothing.
std::optional<std::string> take_path(const Client& client, const char* operation, const char* path,
                                     int& error);

void fill_stat(struct benchfs_stat* st, const wire::Attributes& from);

/// A call on a path, blocking.
template <class Make>
int on_path(benchfs_t* fs, const char* operation, const char* path, Make make) {
  return guarded([&]() -> int {
    Client& client = client_of(fs);
    int error = 0;
    auto canonical = take_path(client, operation, path, error);
    if (!canonical) return error;
    return static_cast<int>(
        run(client, operation, *canonical, [&] { return make(client, *canonical); }));
  });
}

/// A call on two paths, blocking.
template <class Make>
int on_two_paths(benchfs_t* fs, const char* operation, const char* from, const char* to,
                 Make make) {
  return guarded([&]() -> int {
    Client& client = client_of(fs);
    int error = 0;
    auto old_path = take_path(client, operation, from, error);
    if (!old_path) return error;
    auto path = take_path(client, operation, to, error);
    if (!path) return error;
    return static_cast<int>(run(client, operation, *old_path + " to " + *path,
                                [&] { return make(client, *old_path, *path); }));
  });
}

/// The same with one path, started as a request.
template <class Make>
int on_path_start(benchfs_t* fs, const char* operation, const char* path, Make make,
                  benchfs_request_t** out) {
  return guarded([&]() -> int {
    Client& client = client_of(fs);
    int error = 0;
    auto canonical = take_path(client, operation, path, error);
    if (!canonical) return error;
    auto request = std::make_unique<Request>(client, operation, std::move(*canonical));
    return start(
        std::move(request), [&](Request& self) { return make(client, self.path); }, out);
  });
}

/// A call on an open file, blocking.
template <class Make>
int on_file(benchfs_file_t* handle, const char* operation, Make make) {
  return guarded([&]() -> int {
    OpenFile* file = file_of(handle);
    Client& client = *file->client;
    return static_cast<int>(run_on(file, operation, [&] { return make(client, file); }));
  });
}

/// Sets the error "<operation> benchfs:<path>: <why>"; returns -error.
[[gnu::cold]] inline int refuse(const OpenFile* file, const char* operation, int error,
                                const char* why) {
  return set_error(error, std::string(operation) + " benchfs:" + file->path + ": " + why);
}
inline int not_writable(const OpenFile* file, const char* operation) {
  return refuse(file, operation, EBADF, "not open for writing");
}

}  // namespace benchfs::capi
