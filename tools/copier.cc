// The walk through what is to be copied: directories and links are made by the walk, the files by
// the workers, and the directories' own attributes come last, since copying into them changes
// their times.
#include "copier.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "base/crc32c.hpp"
#include "mode.hpp"

namespace benchfs::tools {
namespace {

constexpr std::uint32_t kPermissions = 07777;

}  // namespace

Copier::Copier(Files& files, const CopyOptions& options)
    : files_(files),
      options_(options),
      umask_(umask_now()),
      progress_(options.progress),
      workers_(options.jobs) {}

void Copier::complain(const FileTree& tree, const std::string& path, std::int64_t error) {
  complain(tree.shown(path), tree.explain(error));
}

void Copier::complain(const std::string& shown, const std::string& cause) {
  const std::lock_guard lock(mutex_);
  progress_.clear_line();
  files_.complain(shown, cause);
}

void Copier::copy(FileTree& from, const std::string& path, FileTree& to,
                  const std::string& target) {
  CopySource source{&from, path, {}};
  const int error = from.stat(path, !options_.recursive, source.node);
  if (error != 0) return complain(from, path, error);
  roots_.clear();
  visit(std::move(source), to, target, true);
}

void Copier::visit(CopySource source, FileTree& to, const std::string& target, bool given) {
  const std::uint32_t mode = source.node.mode;
  if (S_ISREG(mode)) {
    progress_.found(source.node.size);
    workers_.add([this, source = std::move(source), &to, target]() mutable {
      copy_file(*this, std::move(source), to, target);
    });
  } else if (S_ISLNK(mode)) {
    copy_link(source, to, target);
  } else if (S_ISDIR(mode) && options_.recursive) {
    copy_directory(source, to, target);
  } else if (S_ISDIR(mode)) {
    complain(source.tree->shown(source.path), "Is a directory, which -r copies");
  } else if (given && !options_.recursive) {
    std::unique_ptr<TreeFile> file;
    const int error = source.tree->open(source.path, O_RDONLY, 0, file);
    if (error != 0) return complain(*source.tree, source.path, error);
    copy_stream(*file, source.tree->shown(source.path), to, target, 0666);
  } else {
    complain(source.tree->shown(source.path), "neither a file, a directory nor a symbolic link");
  }
}

void Copier::copy_directory(const CopySource& source, FileTree& to, const std::string& target) {
  const auto is_source = [&](const Node& root) { return root.same_as(source.node); };
  if (source.tree == &to && std::any_of(roots_.begin(), roots_.end(), is_source)) {
    return complain(source.tree->shown(source.path), "cannot be copied into itself");
  }
  // Until its files are there this user must be able to write to it.
  const std::uint32_t mode = (source.node.mode & 0777 & ~umask_) | 0700;
  int error = to.make_directory(target, mode);
  const bool made = error == 0;
  Node there;
  if (error == 0 || error == -EEXIST) error = to.stat(target, true, there);
  if (error != 0) return complain(to, target, error);
  if (!S_ISDIR(there.mode)) {
    return complain(to.shown(target), "is there, and is no directory");
  }
  if (roots_.empty()) roots_.push_back(there);
  directories_.push_back({source, &to, target, made});
  std::vector<CopySource> below;
  error = source.tree->list(source.path, [&](const std::string& name, const Node& node) {
    CopySource entry{source.tree, joined(source.path, name), node};
    if (S_ISDIR(node.mode)) {
      below.push_back(std::move(entry));  // one listing at a time
    } else {
      visit(std::move(entry), to, joined(target, name), false);
    }
  });
  if (error != 0) complain(*source.tree, source.path, error);
  for (const CopySource& entry : below) {
    copy_directory(entry, to, joined(target, base_name(entry.path)));
  }
}

void Copier::copy_link(const CopySource& source, FileTree& to, const std::string& target) {
  std::string leads_to, there;
  int error = source.tree->read_link(source.path, leads_to);
  if (error != 0) return complain(*source.tree, source.path, error);
  if (options_.resume && to.read_link(target, there) == 0 && there == leads_to) return;
  error = to.make_link(leads_to, target);
  if (error == -EEXIST) {
    Node node;
    error = to.stat(target, false, node);
    if (error == 0 && source.tree == &to && node.same_as(source.node)) {
      return complain(to.shown(target), "is the link that is to be copied");
    }
    if (error == 0) error = to.remove(target);
    if (error == 0) error = to.make_link(leads_to, target);
  }
  if (error != 0) return complain(to, target, error);
  keep_attributes(source, to, target);
}

void Copier::keep_attributes(const CopySource& source, FileTree& to, const std::string& target) {
  const Node& node = source.node;
  int error = 0;
  // Before the mode, which may forbid it.
  if (options_.preserve && !S_ISLNK(node.mode) && !keep_xattrs(source, to, target)) return;
  if (options_.preserve) {
    error = to.set_owner(target, node.uid, node.gid);
    if (error == -EPERM) error = 0;  // not everybody may give files away
    // After the owner, which takes the bits away that lend his rights.
    if (error == 0 && !S_ISLNK(node.mode)) error = to.set_mode(target, node.mode & kPermissions);
  }
  if (error == 0 && (options_.preserve || (options_.resume && S_ISREG(node.mode)))) {
    error = to.set_times(target, node.atime_ns, node.mtime_ns);
  }
  if (error != 0) complain(to, target, error);
}

bool Copier::keep_xattrs(const CopySource& source, FileTree& to, const std::string& target) {
  std::vector<std::string> names;
  int error = source.tree->xattr_names(source.path, names);
  if (error != 0 && error != -EOPNOTSUPP) {
    complain(*source.tree, source.path, error);
    return false;
  }
  for (const std::string& name : names) {
    std::string value;
    error = source.tree->get_xattr(source.path, name, value);
    if (error == -ENODATA) continue;  // removed meanwhile
    if (error != 0) {
      complain(*source.tree, source.path, error);
      return false;
    }
    error = to.set_xattr(target, name, value);
    if (error == -EOPNOTSUPP) return true;  // not every file system has them
    if (error != 0) {
      complain(to, target, error);
      return false;
    }
  }
  return true;
}

void Copier::finish() {
  progress_.all_found();
  workers_.wait_idle();
  for (; !directories_.empty(); directories_.pop_back()) {
    const Directory& each = directories_.back();
    const Node& node = each.source.node;
    if (options_.preserve) {
      keep_attributes(each.source, *each.to, each.target);
      continue;
    }
    const std::uint32_t wanted = node.mode & 0777 & ~umask_;
    if (!each.made || wanted == (wanted | 0700)) continue;
    const int error = each.to->set_mode(each.target, wanted);
    if (error != 0) complain(*each.to, each.target, error);
  }
}

// ---- what has no size ----

bool Copier::pump(const Stream& source, const Stream& target,
                  std::vector<std::uint32_t>* checksums) {
  const auto fail = [&](const Stream& stream, std::int64_t error) {
    complain(stream.name, stream.tree != nullptr ? stream.tree->explain(error)
                                                 : std::strerror(static_cast<int>(-error)));
    return false;
  };
  std::vector<char> block(kCopyBlockBytes);
  progress_.found(0);
  for (std::uint64_t at = 0;;) {
    const std::int64_t got = source.file->read(block.data(), block.size(), at);
    if (got < 0) return fail(source, got);
    if (got == 0) break;
    const auto bytes = static_cast<std::size_t>(got);
    if (checksums != nullptr) {
      checksums->push_back(crc32c(std::as_bytes(std::span{block.data(), bytes})));
    }
    const std::int64_t put = target.file->write(block.data(), bytes, at);
    if (put < 0) return fail(target, put);
    at += bytes;
    progress_.moved(bytes);
  }
  progress_.done();
  return true;
}

bool Copier::same_as_written(const Stream& written, const std::vector<std::uint32_t>& checksums) {
  int error = written.file->sync();
  std::vector<char> block(kCopyBlockBytes);
  for (std::size_t i = 0; error == 0 && i < checksums.size(); ++i) {
    const std::int64_t got = written.file->read(block.data(), block.size(), i * kCopyBlockBytes);
    if (got < 0) error = static_cast<int>(got);
    const std::span read{block.data(), static_cast<std::size_t>(std::max<std::int64_t>(got, 0))};
    if (error == 0 && crc32c(std::as_bytes(read)) != checksums[i]) {
      complain(written.name, "what was read back is not what was written");
      return false;
    }
  }
  if (error != 0) complain(written.name, written.tree->explain(error));
  return error == 0;
}

void Copier::copy_stream(TreeFile& source, const std::string& name, FileTree& to,
                         const std::string& target, std::uint32_t mode) {
  std::unique_ptr<TreeFile> file;
  const int access = options_.verify ? O_RDWR : O_WRONLY;
  int error = to.open(target, access | O_CREAT | O_TRUNC, mode & ~umask_, file);
  if (error != 0) return complain(to, target, error);
  const Stream written{file.get(), to.shown(target), &to};
  std::vector<std::uint32_t> checksums;
  bool good = pump({&source, name, nullptr}, written, options_.verify ? &checksums : nullptr);
  if (good && options_.verify) good = same_as_written(written, checksums);
  error = file->close();
  if (error != 0 && good) complain(to, target, error);
}

void Copier::copy_stream(FileTree& from, const std::string& path, TreeFile& target,
                         const std::string& name) {
  if (options_.verify) return complain(name, "cannot be read back for --verify");
  std::unique_ptr<TreeFile> file;
  const int error = from.open(path, O_RDONLY, 0, file);
  if (error != 0) return complain(from, path, error);
  pump({file.get(), from.shown(path), &from}, {&target, name, nullptr}, nullptr);
}

}  // namespace benchfs::tools
