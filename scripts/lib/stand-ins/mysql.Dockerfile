# Stands in for mysql:9.7, on Debian sid with its MySQL, imported as mysql-sid.
FROM mysql-sid
RUN useradd --system --home-dir /var/lib/mysql mysql \
    && mkdir -p /var/lib/mysql /var/run/mysqld && chown mysql:mysql /var/lib/mysql /var/run/mysqld \
    && printf '[mysqld]\nmysqlx=OFF\nsecure-file-priv=NULL\n' >/etc/my.cnf
COPY --chmod=755 mysql-entrypoint /usr/local/bin/entrypoint
USER mysql
VOLUME /var/lib/mysql
EXPOSE 3306
ENTRYPOINT ["entrypoint"]
CMD ["mysqld"]
