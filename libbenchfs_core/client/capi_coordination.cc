// The C interface: locks and shared file pointers.
#include "client/capi.hpp"
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
