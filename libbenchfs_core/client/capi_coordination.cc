// The C interface: locks and shared file pointers.
#include <sys/file.h>

#include "client/capi.hpp"
#include "net/host.hpp"
#include "wire/messages.hpp"

using namespace benchfs;
using namespace benchfs::capi;

static_assert(BENCHFS_LOCK_SHARED == wire::Lock::kShared);
static_assert(BENCHFS_LOCK_EXCLUSIVE == wire::Lock::kExclusive);

namespace {

/// The range as first and last byte; 0 or a negative errno with its text set.
int take_range(const OpenFile* file, std::uint64_t offset, std::uint64_t bytes, int mode,
               std::uint64_t& last) {
  const bool fits = offset <= kFileBytesMax && bytes <= kFileBytesMax - offset;
  const bool known = mode == BENCHFS_LOCK_SHARED || mode == BENCHFS_LOCK_EXCLUSIVE;
  if (!fits || !known) {
    return set_error(
        EINVAL, "lock benchfs:" + file->path + (fits ? ": unknown mode" : ": range too large"));
  }
  last = bytes == 0 ? kFileBytesMax : offset + bytes - 1;
  return 0;
}

Task<Outcome> store_before(Client* client, OpenFile* file, std::uint64_t key, std::int64_t value,
                           std::uint32_t operation, std::int64_t* before) {
  BFS_CO_TRY(value_before, co_await client->shared_pointer(file, key, value, operation));
  if (before != nullptr) *before = value_before;
  co_return 0;
}

int pointer_call(benchfs_file_t* handle, std::uint64_t key, std::int64_t value,
                 std::uint32_t operation, std::int64_t* before) {
  return guarded([&]() -> int {
    OpenFile* file = file_of(handle);
    Client& client = *file->client;
    return static_cast<int>(run(client, "shared pointer of", file->path, [&] {
      return store_before(&client, file, key, value, operation, before);
    }));
  });
}

/// "held by process 4711": sets the error and returns -EWOULDBLOCK.
int would_block(const OpenFile* file, const char* operation, const wire::TryLock::Reply& other) {
  const std::string who = "process " + std::to_string(other.pid) +
                          (other.host_id == host_id() ? "" : " on another host") + " has it locked";
  return refuse(file, operation, EWOULDBLOCK, who.c_str());
}

}  // namespace

int benchfs_lock(benchfs_file_t* handle, std::uint64_t offset, std::uint64_t bytes, int mode,
                 std::uint64_t* token) {
  return guarded([&]() -> int {
    OpenFile* file = file_of(handle);
    Client& client = *file->client;
    std::uint64_t last = 0;
    if (const int error = take_range(file, offset, bytes, mode, last); error != 0) return error;
    return static_cast<int>(run(client, "lock", file->path, [&] {
      *token = client.next_lock_token();
      return client.lock(file, offset, last, static_cast<std::uint32_t>(mode), *token);
    }));
  });
}

int benchfs_lock_start(benchfs_file_t* handle, std::uint64_t offset, std::uint64_t bytes, int mode,
                       std::uint64_t* token, benchfs_request_t** out) {
  return guarded([&]() -> int {
    OpenFile* file = file_of(handle);
    Client& client = *file->client;
    std::uint64_t last = 0;
    if (const int error = take_range(file, offset, bytes, mode, last); error != 0) return error;
    auto request = std::make_unique<Request>(client, "lock", file->path);
    request->file = file;
    const auto make = [&](Request&) {
      *token = client.next_lock_token();
      return client.lock(file, offset, last, static_cast<std::uint32_t>(mode), *token);
    };
    return start(std::move(request), make, out);
  });
}

int benchfs_trylock(benchfs_file_t* handle, std::uint64_t offset, std::uint64_t bytes, int mode,
                    std::uint64_t* token) {
  return guarded([&]() -> int {
    OpenFile* file = file_of(handle);
    Client& client = *file->client;
    std::uint64_t last = 0;
    if (const int error = take_range(file, offset, bytes, mode, last); error != 0) return error;
    wire::TryLock::Reply answer{};
    const std::int64_t granted = run(client, "lock", file->path, [&] {
      *token = client.next_lock_token();
      return client.try_lock(file, offset, last, static_cast<std::uint32_t>(mode), *token, 0,
                             &answer);
    });
    if (granted < 0) return static_cast<int>(granted);
    return granted == 1 ? 0 : would_block(file, "lock", answer);
  });
}

int benchfs_lock_holder(benchfs_file_t* handle, std::uint64_t offset, std::uint64_t bytes, int mode,
                        struct benchfs_lock_holder* holder) {
  return guarded([&]() -> int {
    OpenFile* file = file_of(handle);
    Client& client = *file->client;
    std::uint64_t last = 0;
    if (const int error = take_range(file, offset, bytes, mode, last); error != 0) return error;
    wire::TryLock::Reply answer{};
    const std::int64_t granted = run(client, "lock", file->path, [&] {
      return client.try_lock(file, offset, last, static_cast<std::uint32_t>(mode), 0,
                             wire::TryLock::kTest, &answer);
    });
    if (granted < 0) return static_cast<int>(granted);
    if (granted == 1) return 0;
    *holder = {};
    holder->mode = static_cast<int>(answer.mode);
    holder->on_this_host = answer.host_id == host_id() ? 1 : 0;
    holder->pid = answer.pid;
    holder->offset = answer.first;
    holder->bytes = answer.last >= kFileBytesMax ? 0 : answer.last - answer.first + 1;
    return 1;
  });
}

int benchfs_flock(benchfs_file_t* handle, int operation) {
  return guarded([&]() -> int {
    OpenFile* file = file_of(handle);
    Client& client = *file->client;
    std::uint32_t mode = 0;
    switch (operation & ~LOCK_NB) {
      case LOCK_SH:
        mode = wire::Lock::kShared;
        break;
      case LOCK_EX:
        mode = wire::Lock::kExclusive;
        break;
      case LOCK_UN:
        break;
      default:
        return refuse(file, "flock", EINVAL, "unknown operation");
    }
    const bool wait = (operation & LOCK_NB) == 0;
    const std::int64_t locked =
        run(client, "flock", file->path, [&] { return client.flock(file, mode, wait); });
    if (locked < 0) return static_cast<int>(locked);
    return locked == 1 ? 0 : refuse(file, "flock", EWOULDBLOCK, "it is locked");
  });
}

int benchfs_unlock(benchfs_file_t* handle, std::uint64_t token) {
  return guarded([&]() -> int {
    OpenFile* file = file_of(handle);
    Client& client = *file->client;
    return static_cast<int>(
        run(client, "unlock", file->path, [&] { return client.unlock(file, token); }));
  });
}

int benchfs_pointer_add(benchfs_file_t* file, std::uint64_t key, std::int64_t delta,
                        std::int64_t* before) {
  return pointer_call(file, key, delta, wire::SharedPointer::kAdd, before);
}
int benchfs_pointer_set(benchfs_file_t* file, std::uint64_t key, std::int64_t value) {
  return pointer_call(file, key, value, wire::SharedPointer::kSet, nullptr);
}
int benchfs_pointer_forget(benchfs_file_t* file, std::uint64_t key) {
  return pointer_call(file, key, 0, wire::SharedPointer::kForget, nullptr);
}
