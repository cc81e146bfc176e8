// The C interface: changes of attributes, by path and by open file, and access().
#include <unistd.h>

#include <optional>

#include "client/capi.hpp"
#include "wire/messages.hpp"

using namespace benchfs;
using namespace benchfs::capi;

namespace {

using Message = wire::SetAttributes;
constexpr std::uint32_t kUnchanged = UINT32_MAX;

/// Whether what a call follows is known; sets the error if not.
std::optional<int> refuse_flags(const char* operation, int flags) {
  if ((flags & ~BENCHFS_NOFOLLOW) == 0) return std::nullopt;
  return set_error(EINVAL, std::string(operation) + ": flags other than BENCHFS_NOFOLLOW");
}

int change(benchfs_t* fs, const char* operation, const char* path, int flags,
           const Message::Request& request) {
  if (const auto refused = refuse_flags(operation, flags)) return *refused;
  const bool follow = (flags & BENCHFS_NOFOLLOW) == 0;
  return on_path(fs, operation, path, [&](Client& client, const std::string& canonical) {
    return client.set_attributes(canonical, follow, request);
  });
}

int change(benchfs_file_t* file, const char* operation, const Message::Request& request) {
  return on_file(file, operation, [&](Client& client, OpenFile* open) {
    return client.change(open->inode, request);
  });
}

Message::Request mode_of(std::uint32_t mode) {
  Message::Request request{};
  request.which = Message::kMode;
  request.mode = mode & 07777;
  return request;
}

Message::Request owner_of(std::uint32_t uid, std::uint32_t gid) {
  Message::Request request{};
  if (uid != kUnchanged) request.which |= Message::kUid;
  if (gid != kUnchanged) request.which |= Message::kGid;
  request.uid = uid;
  request.gid = gid;
  return request;
}

Message::Request times_of(std::int64_t atime_ns, std::int64_t mtime_ns) {
  Message::Request request{};
  if (atime_ns == BENCHFS_TIME_NOW) {
    request.which |= Message::kAtimeNow;
  } else if (atime_ns != BENCHFS_TIME_OMIT) {
    request.which |= Message::kAtime;
    request.atime_ns = atime_ns;
  }
  if (mtime_ns == BENCHFS_TIME_NOW) {
    request.which |= Message::kMtimeNow;
  } else if (mtime_ns != BENCHFS_TIME_OMIT) {
    request.which |= Message::kMtime;
    request.mtime_ns = mtime_ns;
  }
  return request;
}

}  // namespace

int benchfs_chmod(benchfs_t* fs, const char* path, std::uint32_t mode) {
  return change(fs, "chmod", path, 0, mode_of(mode));
}
int benchfs_fchmod(benchfs_file_t* file, std::uint32_t mode) {
  return change(file, "chmod", mode_of(mode));
}

int benchfs_chown(benchfs_t* fs, const char* path, std::uint32_t uid, std::uint32_t gid,
                  int flags) {
  return change(fs, "chown", path, flags, owner_of(uid, gid));
}
int benchfs_fchown(benchfs_file_t* file, std::uint32_t uid, std::uint32_t gid) {
  return change(file, "chown", owner_of(uid, gid));
}

int benchfs_utimens(benchfs_t* fs, const char* path, std::int64_t atime_ns, std::int64_t mtime_ns,
                    int flags) {
  return change(fs, "utimens", path, flags, times_of(atime_ns, mtime_ns));
}
int benchfs_futimens(benchfs_file_t* file, std::int64_t atime_ns, std::int64_t mtime_ns) {
  return change(file, "utimens", times_of(atime_ns, mtime_ns));
}

int benchfs_access(benchfs_t* fs, const char* path, int mode, int flags) {
  if (const auto refused = refuse_flags("access", flags)) return *refused;
  if ((mode & ~(R_OK | W_OK | X_OK)) != 0) return set_error(EINVAL, "access: unknown mode");
  const bool follow = (flags & BENCHFS_NOFOLLOW) == 0;
  return on_path(fs, "access", path, [&](Client& client, const std::string& canonical) {
    return client.check_access(canonical, follow, mode);
  });
}
