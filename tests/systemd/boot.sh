#!/bin/bash
# Boots a real systemd on a throw-away copy of this system: `boot.sh SCRATCH NAME`, as root, under
# `unshare --mount --pid --fork --cgroup --ipc --uts --kill-child`. The copy is an overlay in memory: nothing that happens
# in it is seen outside, but for the network, which it shares. It starts no service of this system.
set -euo pipefail
scratch=$1

mount --make-rprivate /
mount -t tmpfs majlis-machine "$scratch"
mkdir "$scratch"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
cd "$scratch/root"

mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do touch "dev/$node"; mount --bind "/dev/$node" "dev/$node"; done
mkdir dev/pts dev/shm
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
	mount -t cgroup2 cgroup2 sys/fs/cgroup
else
	mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
	mkdir sys/fs/cgroup/{systemd,unified}
	mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
	mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
fi

# What would be missing and the test needs: the checkout and its interpreter, from other file systems or from /tmp.
for place in "${@:2}"; do
	mkdir -p ".$place"
	mount --rbind "$place" ".$place"
	mount -o remount,bind,ro ".$place"
done

rm -rf etc/systemd/system etc/majlis var/lib/majlis var/log/journal
mkdir -p etc/systemd/system
ln -s /lib/systemd/system/basic.target etc/systemd/system/default.target
# Restarts of the journal and clean-ups by age are not what is looked at; /tmp is there, and the checkout may be in it.
for unit in tmp.mount systemd-tmpfiles-clean.timer systemd-update-utmp.service systemd-udevd.service systemd-udev-trigger.service; do
	ln -s /dev/null "etc/systemd/system/$unit"
done

mkdir .outside
pivot_root . .outside
umount -l /.outside
cd /
# As nspawn does: credentials are mounted by a helper of systemd and must appear in every namespace.
mount --make-rshared /
exec env -i container=majlis-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=basic.target
