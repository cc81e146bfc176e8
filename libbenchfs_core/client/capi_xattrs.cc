// The C interface: extended attributes. The limits are told here, with the errors of Linux.
#include <algorithm>

#include "client/capi.hpp"
#include "wire/messages.hpp"

using namespace benchfs;
using namespace benchfs::capi;

namespace {

constexpr std::string_view kUser = "user.";

int refuse(int error, const char* operation, const char* path, const std::string& cause) {
  return set_error(
      error, std::string(operation) + " benchfs:" + (path == nullptr ? "" : path) + ": " + cause);
}

/// 0, or the error of a name that cannot be.
int check_name(const char* operation, const char* path, const char* name) {
  const std::string_view text = name == nullptr ? "" : name;
  if (text.empty() || text.size() > kXattrNameBytesMax) {
    return refuse(
        ERANGE, operation, path,
        "the name of an extended attribute has 1 to 255 bytes, not " + std::to_string(text.size()));
  }
  if (!text.starts_with(kUser)) {
    return refuse(EOPNOTSUPP, operation, path,
                  "extended attribute " + std::string(text) +
                      ": only names that begin with \"user.\" are supported");
  }
  if (text.size() == kUser.size()) {
    return refuse(EINVAL, operation, path, "an extended attribute has a name after \"user.\"");
  }
  return 0;
}

int check_flags(const char* operation, const char* path, int flags, int known) {
  return (flags & ~known) == 0 ? 0 : refuse(EINVAL, operation, path, "unknown flags");
}

bool follows(int flags) {
  return (flags & BENCHFS_NOFOLLOW) == 0;
}

std::span<std::byte> room(void* into, size_t capacity, std::uint32_t most) {
  return {static_cast<std::byte*>(into), std::min<std::size_t>(capacity, most)};
}

}  // namespace

std::int64_t benchfs_getxattr(benchfs_t* fs, const char* path, const char* name, void* value,
                              size_t capacity, int flags) {
  int error = check_name("getxattr", path, name);
  if (error == 0) error = check_flags("getxattr", path, flags, BENCHFS_NOFOLLOW);
  if (error != 0) return error;
  return on_path(fs, "getxattr", path, [&](Client& client, const std::string& canonical) {
    return client.get_xattr(canonical, follows(flags), name,
                            room(value, capacity, kXattrValueBytesMax));
  });
}

int benchfs_setxattr(benchfs_t* fs, const char* path, const char* name, const void* value,
                     size_t bytes, int flags) {
  constexpr int kKnown = BENCHFS_NOFOLLOW | BENCHFS_XATTR_CREATE | BENCHFS_XATTR_REPLACE;
  int error = check_name("setxattr", path, name);
  if (error == 0) error = check_flags("setxattr", path, flags, kKnown);
  if (error == 0 && bytes > kXattrValueBytesMax) {
    error = refuse(E2BIG, "setxattr", path,
                   "an extended attribute has at most 65536 bytes, not " + std::to_string(bytes));
  }
  if (error != 0) return error;
  std::uint32_t wire_flags = 0;
  if ((flags & BENCHFS_XATTR_CREATE) != 0) wire_flags |= wire::SetXattr::kCreate;
  if ((flags & BENCHFS_XATTR_REPLACE) != 0) wire_flags |= wire::SetXattr::kReplace;
  return on_path(fs, "setxattr", path, [&](Client& client, const std::string& canonical) {
    std::string copy(static_cast<const char*>(value), bytes);
    return client.set_xattr(canonical, follows(flags), name, std::move(copy), wire_flags);
  });
}

std::int64_t benchfs_listxattr(benchfs_t* fs, const char* path, char* names, size_t capacity,
                               int flags) {
  if (const int error = check_flags("listxattr", path, flags, BENCHFS_NOFOLLOW); error != 0) {
    return error;
  }
  return on_path(fs, "listxattr", path, [&](Client& client, const std::string& canonical) {
    return client.list_xattrs(canonical, follows(flags), room(names, capacity, kXattrListBytesMax));
  });
}

int benchfs_removexattr(benchfs_t* fs, const char* path, const char* name, int flags) {
  int error = check_name("removexattr", path, name);
  if (error == 0) error = check_flags("removexattr", path, flags, BENCHFS_NOFOLLOW);
  if (error != 0) return error;
  return on_path(fs, "removexattr", path, [&](Client& client, const std::string& canonical) {
    return client.remove_xattr(canonical, follows(flags), name);
  });
}
